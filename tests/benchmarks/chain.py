"""The main job as a user runs it: a recipe from an empty home, again with nothing changed, and what the models reached.

`python -m tests.benchmarks.chain [RECIPE [HOME]]`: time and memory are held against the limits of the recipe, bits per byte
against the baselines that the same report measured on the same documents. A home that is named is kept, another is removed.
"""

import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil

from tests.benchmarks.rows import Row, write

MAX_SECONDS = {"tiny": 120.0, "smoke": 600.0, "laptop": 5400.0}
MAX_BYTES = 6e9
MAX_AGAIN_SECONDS = 20.0
MAX_HELP_SECONDS = 0.5
MAX_ORCHESTRATION = 0.15
COMMAND = [sys.executable, "-m", "workflows.cli"]


def main() -> None:
    """Run the benchmark and write its rows."""
    recipe = sys.argv[1] if len(sys.argv) > 1 else "smoke"
    kept = Path(sys.argv[2]).absolute() if len(sys.argv) > 2 else None
    if kept and kept.exists():
        raise SystemExit(f"{kept} exists; name a home that does not, so that nothing in it is reused")
    home = kept or Path(tempfile.mkdtemp(prefix="chain-"))
    try:
        first, peak = watched([*COMMAND, "run", recipe, "--home", str(home)])
        again, _ = watched([*COMMAND, "run", recipe, "--home", str(home)])
        rows = [
            Row(name=f"{recipe}: first run", ours=first, reference=MAX_SECONDS[recipe], target="<= 1", unit="s"),
            Row(name=f"{recipe}: peak memory", ours=peak / 1e9, reference=MAX_BYTES / 1e9, target="<= 1", unit="GB"),
            Row(name=f"{recipe}: unchanged second run", ours=again, reference=MAX_AGAIN_SECONDS, target="<= 1", unit="s"),
            Row(name="longrun --help", ours=quickest_help(), reference=MAX_HELP_SECONDS, target="<= 1", unit="s"),
            orchestration(home, first),
            *quality(home),
        ]
        write(f"chain-{recipe}", rows, Path(".longrun"))
    finally:
        if not kept:
            shutil.rmtree(home, ignore_errors=True)


def watched(command: list[str]) -> tuple[float, float]:
    """Seconds and peak memory in bytes of a command with all its descendants."""
    started, peak = time.monotonic(), 0.0
    with subprocess.Popen(command) as process:
        while process.poll() is None:
            peak = max(peak, memory(process.pid))
            time.sleep(1.0)
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} failed")
    return time.monotonic() - started, peak


def memory(pid: int) -> float:
    """Resident bytes of a process tree: what each process has alone, and the largest shared part once, since what is shared is
    Ray's object store and libraries. Processes that end meanwhile count nothing.

    The kernel's own count of shares (PSS) would walk every page table at each look, which slows down what is measured.
    """
    alone, shared = 0.0, 0.0
    try:
        family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    except psutil.NoSuchProcess:
        return 0.0
    for member in family:
        try:
            info = member.memory_info()
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
        alone += info.rss - info.shared
        shared = max(shared, info.shared)
    return alone + shared


def quickest_help() -> float:
    """The least of five timings of `longrun --help`."""
    return min(watched_help() for _ in range(5))


def watched_help() -> float:
    """Seconds of one `longrun --help`."""
    started = time.monotonic()
    subprocess.run([*COMMAND, "--help"], check=True, capture_output=True)
    return time.monotonic() - started


def orchestration(home: Path, wall: float) -> Row:
    """The share of the first run that no component worked."""
    (first, *_) = sorted((home / "runs").iterdir())
    events = [json.loads(line) for line in (first / "events.jsonl").read_text().splitlines()]
    worked = sum(event.get("component_seconds", 0.0) for event in events)
    return Row(name="orchestration share", ours=1 - worked / wall, reference=MAX_ORCHESTRATION, target="<= 1", unit="of time")


def quality(home: Path) -> list[Row]:
    """Bits per byte of the base model in each domain beside both baselines."""
    import pyarrow.parquet as pq

    (table,) = home.glob("artifacts/evaluation/*/*/metrics/bits_per_byte.parquet")
    rows: list[dict[str, Any]] = pq.read_table(table).to_pylist()
    bits = {(row["model"], row["domain"]): row["bits_per_byte"] for row in rows}
    domains = sorted({row["domain"] for row in rows})
    return [
        Row(
            name=f"bits per byte, {domain}, base / {baseline}",
            ours=bits["base", domain],
            reference=bits[baseline, domain],
            target="< 1",
            unit="bits/byte",
        )
        for domain in domains
        for baseline in ("byte-unigram", "zlib-9")
    ]


if __name__ == "__main__":
    main()

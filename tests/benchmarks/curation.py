"""Near-duplicate removal, ours beside what people use, on the same documents in one run.

`python -m tests.benchmarks.curation [DOCUMENTS]`: text files of the installed packages. Every tool takes the whole step, from
Parquet on disk to Parquet on disk, on one core; what is counted is processor time without imports and, for us, without the
compilation that the first run on a machine does. What each missed and removed wrongly is counted by `tests.exact_pairs`, which
shares no code with any of them, by the Jaccard similarity of 5-word shingles between spaces; ours is set to those, and to the
peers' threshold.
The peers live in an environment of their own below `.longrun/bench`, made on the first run.
"""

import json
import os
import shutil
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from components import interim
from components.curation.duplicates.config import DuplicatesConfig
from components.curation.duplicates.deduplication import find_duplicates
from components.curation.duplicates.sketches import text_shards
from components.ports import InProcessShardEngine
from infra.variables import numba_cache
from tests.benchmarks.curation_documents import write_documents
from tests.benchmarks.rows import Row, write
from tests.exact_pairs import shingles, similar_pairs

HOME = Path(".longrun")
DIRECTORY = HOME.absolute() / "bench" / "curation"
PEERS = Path(__file__).parent / "peers"
NAMES = ("rensa", "datasketch", "text_dedup", "datatrove")
THRESHOLD = 0.75
SHARDS = 8
TURNS = 5
"""Measurements of what is compared with a target."""
SCALE = 4
"""How much larger the second of two corpora is whose memory and time are compared."""


Removed = tuple[dict[str, float], set[str]]
"""What a tool took (seconds, and ours its peak in bytes), and the ids of what it kept."""

BATCH = 1024
"""Documents written at a time."""
WRITING = {"compression": "snappy", "use_dictionary": False, "write_statistics": False}
"""As the peers write, but without what helps nobody: a dictionary of texts, and statistics of them."""


@dataclass(frozen=True)
class Outcome:
    """What a tool made of the documents."""

    seconds: float
    peak: float
    """Bytes."""
    missed: int
    """Pairs of kept documents whose similarity reaches the threshold."""
    wrong: int
    """Removed documents that are similar to no other one."""


def main() -> None:
    """Run the benchmark and write its rows."""
    if sys.argv[1:2] == ["ours"]:
        ours(Path(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4]))
        return
    number = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    shutil.rmtree(DIRECTORY, ignore_errors=True)
    shards = write_documents(DIRECTORY / "documents", documents=number, shards=SHARDS)
    size = sum(pq.read_table(path, columns=["text"])["text"].nbytes for path in shards) / 1e6
    count = sum(pq.read_metadata(path).num_rows for path in shards)
    truth = Truth.of(shards)
    python = environment_of_peers()
    ours_and_rensa = in_turns(partial(removed_by_us, DIRECTORY / "documents", 128 * 2**20), partial(removed_by, python, NAMES[0]))
    others = [removed_by(python, name) for name in NAMES[1:]]
    removals = zip(("ours", *NAMES), [*ours_and_rensa, *others], strict=True)
    outcomes = {name: judged(truth, *removed) for name, removed in removals}
    mine = outcomes["ours"]
    rows = [Row(name=f"{count} documents", ours=size, reference=size, target="the same", unit="MB")]
    for name in NAMES:
        target = ">= 3" if name == "rensa" else "> 1"
        speed = size / mine.seconds, size / outcomes[name].seconds
        rows.append(Row(name=f"speed / {name}", ours=speed[0], reference=speed[1], target=target, unit="MB/s/core"))
    for name in NAMES:
        other, bound = outcomes[name], "<= 1" if name == "rensa" else "beside"
        rows.append(
            Row(name=f"pairs left + 1 / {name}", ours=mine.missed + 1, reference=other.missed + 1, target=bound, unit="pairs")
        )
        wrong = mine.wrong + 1, other.wrong + 1
        rows.append(Row(name=f"wrong removals + 1 / {name}", ours=wrong[0], reference=wrong[1], target=bound, unit="documents"))
    write("curation", rows + scaling(), HOME)


def ours(folder: Path, output: Path, shard_bytes: int) -> None:
    """The whole step in this process: find duplicates, write the kept documents, say what it took."""
    pa.set_cpu_count(1)
    texts = sorted(folder.glob("*.parquet"))
    warm = write_first(texts[0], output / "warm.parquet")
    step([warm], output / "warm", shard_bytes)
    started = time.process_time()
    step(texts, output, shard_bytes)
    print(json.dumps({"seconds": time.process_time() - started, "peak": peak_memory()}))


def in_turns(*measures: Callable[[], Removed]) -> list[Removed]:
    """What is compared with a target is measured several times in turns, since a shared processor's speed wanders: of each the
    middle one by its time."""
    rounds = [[measure() for measure in measures] for _ in range(TURNS)]
    return [sorted(own, key=lambda removed: removed[0]["seconds"])[TURNS // 2] for own in zip(*rounds, strict=True)]


def peak_memory() -> int:
    """Bytes that this process held at most; `ru_maxrss` would count what its parent held before."""
    (line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM:")]
    return int(line.split()[1]) * 1024


def write_first(texts: Path, path: Path) -> Path:
    """A few documents, to have the machine code loaded."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pq.read_table(texts).slice(0, 50), path)
    return path


def step(texts: list[Path], output: Path, shard_bytes: int) -> None:
    """What is measured."""
    config = DuplicatesConfig(near_duplicate_threshold=THRESHOLD, shingle_words="whitespace")
    shards = text_shards(texts, output / "scratch")
    find_duplicates(shards, config, output / "scratch", InProcessShardEngine(), memory=shard_bytes)
    for shard in shards:
        path, judged_rows = shard.texts, interim.read(shard.verdicts, ["document", "kept"])
        write_kept(path, judged_rows["document"].to_numpy()[judged_rows["kept"].to_numpy() >= 0], output / f"kept-{path.name}")


def write_kept(texts: Path, removed: npt.NDArray[np.int64], path: Path) -> None:
    """Write the documents that are not removed, some at a time."""
    with pq.ParquetFile(texts) as opened, pq.ParquetWriter(path, opened.schema_arrow, **WRITING) as output:
        for batch in opened.iter_batches(batch_size=BATCH):
            output.write_batch(batch.filter(pa.array(~np.isin(batch["document"].to_numpy(), removed))))


def removed_by_us(folder: Path, shard_bytes: int) -> Removed:
    """Our figures, and the ids of what we keep."""
    output = DIRECTORY / f"ours-{folder.name}"
    shutil.rmtree(output, ignore_errors=True)
    command = [sys.executable, "-m", "tests.benchmarks.curation", "ours", str(folder), str(output), str(shard_bytes)]
    figures = figures_of(subprocess.run(command, check=True, capture_output=True, text=True, env=environment()))
    kept = [pq.read_table(path, columns=["id"])["id"] for path in output.glob("kept-*")]
    return figures, {identity for ids in kept for identity in ids.to_pylist()}


def removed_by(python: Path, name: str) -> Removed:
    """A peer's figures, and the ids of what it keeps."""
    kept = DIRECTORY / f"{name}.parquet"
    command = [str(python), str(PEERS / f"{name}_script.py"), str(DIRECTORY / "documents"), str(kept)]
    figures = figures_of(subprocess.run(command, check=True, capture_output=True, text=True, env=environment(), cwd=DIRECTORY))
    return figures, set(pq.read_table(kept, columns=["id"])["id"].to_pylist())


def figures_of(done: subprocess.CompletedProcess[str]) -> dict[str, float]:
    """The figures that a process prints last."""
    return dict(json.loads(done.stdout.splitlines()[-1]))


def environment() -> dict[str, str]:
    """One thread each, and no network."""
    quiet = {"OMP_NUM_THREADS": "1", "RAYON_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1"}
    return {**os.environ, **quiet, "NUMBA_CACHE_DIR": str(numba_cache(HOME.absolute()))}


def environment_of_peers() -> Path:
    """The Python of the peers' environment, which is made where it is not there or not what is asked for."""
    directory, wanted = DIRECTORY.parent / "peers", (PEERS / "requirements.txt").read_text()
    if not (directory / "installed").exists() or (directory / "installed").read_text() != wanted:
        uv = str(Path(sys.executable).with_name("uv"))
        subprocess.run([uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(directory)], check=True)
        install = [uv, "pip", "install", "--quiet", "--python", str(directory / "bin" / "python")]
        subprocess.run([*install, "-r", str(PEERS / "requirements.txt")], check=True)
        (directory / "installed").write_text(wanted)
    return directory / "bin" / "python"


@dataclass(frozen=True)
class Truth:
    """Which documents are similar."""

    classes: list[list[str]]
    """Ids of documents of the same shingles."""
    pairs: dict[tuple[int, int], float]
    """Similar classes."""

    @classmethod
    def of(cls, shards: list[Path]) -> "Truth":
        """Count out all pairs of the documents."""
        classes: dict[frozenset[str], list[str]] = defaultdict(list)
        for path in shards:
            for row in pq.read_table(path, columns=["id", "text"]).to_pylist():
                classes[frozenset(map(hash, shingles(row["text"])))].append(row["id"])
        return cls(list(classes.values()), similar_pairs([map(str, hashes) for hashes in classes], THRESHOLD))


def judged(truth: Truth, figures: dict[str, float], kept: set[str]) -> Outcome:
    """Count what a tool missed and what it removed without a reason."""
    counts = [sum(identity in kept for identity in members) for members in truth.classes]
    missed = sum(n * (n - 1) // 2 for n in counts) + sum(counts[a] * counts[b] for a, b in truth.pairs)
    similar = {number for pair in truth.pairs for number in pair}
    alone = [number for number, members in enumerate(truth.classes) if len(members) == 1 and number not in similar]
    wrong = sum(not counts[number] for number in alone)
    return Outcome(seconds=figures["seconds"], peak=figures.get("peak", 0.0), missed=missed, wrong=wrong)


def scaling() -> list[Row]:
    """Our own memory and time on all documents beside those on a quarter of them, both in small shards."""
    small = DIRECTORY / "quarter"
    small.mkdir()
    for path in sorted((DIRECTORY / "documents").glob("*.parquet"))[: SHARDS // SCALE]:
        shutil.copy(path, small)
    (whole, _), (quarter, _) = in_turns(
        *(partial(removed_by_us, directory, 8 * 2**20) for directory in (DIRECTORY / "documents", small))
    )
    return [
        Row(
            name=f"peak memory, {SCALE} times as much",
            ours=whole["peak"] / 1e6,
            reference=quarter["peak"] / 1e6,
            target="<= 1.3",
            unit="MB",
        ),
        Row(
            name=f"time, {SCALE} times as much",
            ours=whole["seconds"],
            reference=quarter["seconds"],
            target="<= 4.4",
            unit="s",
        ),
    ]


if __name__ == "__main__":
    main()

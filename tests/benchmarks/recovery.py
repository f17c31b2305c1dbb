"""How long training stands still after a lost worker, and after a lost node: `python -m tests.benchmarks.recovery`.

From the loss to the end of the first step from the newest checkpoint, on a Ray of two nodes with a processor each. The model is
next to nothing: what counts is how soon the loss is noticed, and what starting workers takes.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.benchmarks.rows import Row, write
from tests.paths import ROOT

LIMITS = {"worker": 20.0, "node": 60.0}
"""Seconds."""


def main() -> None:
    """Run the benchmark and write its rows."""
    names = {"worker": "lost worker: back with as many", "node": "lost node: back with fewer"}
    rows = [Row(name=names[what], ours=seconds(what), reference=limit, target="<= 1", unit="s") for what, limit in LIMITS.items()]
    write("recovery", rows, Path(".longrun"))


def seconds(what: str) -> float:
    """Those that a training in a process of its own measured."""
    with tempfile.TemporaryDirectory() as directory:
        command = [sys.executable, "-m", "tests.infra.ray.elastic", directory, what]
        ended = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    return float(json.loads(ended.stdout.splitlines()[-1])["seconds"])


if __name__ == "__main__":
    main()

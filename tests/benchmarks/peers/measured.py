"""What every peer's script does alike: read Parquet, make shingles, write the kept documents, tell the processor time it took."""

import json
import resource
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

SIZE = 5
"""Words in a shingle."""

pa.set_cpu_count(1)
_usage = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)


def _seconds() -> float:
    return sum(used.ru_utime + used.ru_stime for used in map(resource.getrusage, _usage))


started = _seconds()
"""Imports are not counted: peers import this module last."""


def read(folder: str) -> pa.Table:
    """All documents."""
    return pa.concat_tables([pq.read_table(path, columns=["id", "text"]) for path in sorted(Path(folder).glob("*.parquet"))])


def shingles(text: str) -> list[str]:
    """Runs of five words."""
    words = text.split()
    return [" ".join(words[start : start + SIZE]) for start in range(max(1, len(words) - SIZE + 1))]


def kept(table: pa.Table, stay: list[bool], path: str) -> None:
    """Write the kept documents and say how long everything took, in seconds of processor time."""
    pq.write_table(table.filter(pa.array(stay)), path)
    print(json.dumps({"seconds": _seconds() - started}))


def kept_ids(ids: list[str], path: str) -> None:
    """Like `kept`, for tools that have written the kept documents themselves."""
    seconds = _seconds() - started
    pq.write_table(pa.table({"id": list(ids)}), path)
    print(json.dumps({"seconds": seconds}))

"""The whole curation, every step on, in MB/s of one core, and where the time goes.

`python -m tests.benchmarks.whole_curation [MEGABYTES]`: code, prose and maths of the installed packages, so many raw MB of each.
Every step in this process: reading, normalisation, fastText's language model, all published heuristics, personal data, flagged
words, decontamination, the learned quality score (references: the standard library, novels), near duplicates with verification,
repeated passages, and layout. Processor time, that of reading the references too, is counted over the raw bytes of the corpus
alone, by step of the shard engine; the first run compiles, and is not counted.
"""

import itertools
import json
import shutil
import sys
import sysconfig
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from components.curation.config import (
    PASSAGES,
    PERSONAL_DATA,
    PYTHON_DOMAINS,
    PYTHON_ENVIRONMENT,
    RULE_SETS,
    Benchmark,
    CurationConfig,
    FilteringConfig,
    PassagesConfig,
    QualityConfig,
    ReadingConfig,
    Source,
)
from components.curation.curate import curate
from components.ports import InProcessShardEngine, SilentMetrics
from components.ports.shard_engine import ignore
from infra.distributions import source_distributions
from tests.benchmarks.rows import Row, write

HOME = Path(".longrun")
DIRECTORY = HOME.absolute() / "bench" / "whole-curation"
BENCHMARKS = Path("../shared/data/eval")
MEGABYTE = 1_000_000
NOVELS = Path("../shared/data/corpus/gutenberg")
REFERENCE_BYTES = MEGABYTE
"""Of code, and of prose, that the learned quality prefers."""
PAGE = 2500
"""Characters of a part of a module or a novel, which is a document."""
TARGET = 2.0
"""MB/s of one core."""
SHOWN = 12
"""Steps that take the most time."""

Shard = TypeVar("Shard")
Result = TypeVar("Result")


class TimedEngine(InProcessShardEngine):
    """Counts processor seconds by step."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds: dict[str, float] = {}

    def map_shards(
        self,
        work: Callable[[Shard], Result],
        shards: Sequence[Shard],
        *,
        description: str,
        finished: Callable[[int], None] = ignore,
    ) -> list[Result]:
        """As the engine below, with the time that it took."""
        started = time.process_time()
        results = super().map_shards(work, shards, description=description, finished=finished)
        self.seconds[description] = self.seconds.get(description, 0.0) + time.process_time() - started
        return results


def main() -> None:
    """Run the benchmark and write its rows."""
    pa.set_cpu_count(1)
    size = int(sys.argv[1]) if len(sys.argv) > 1 else 60
    run(config(1))
    seconds, engine, raw = run(config(size))
    rows = [Row(name=f"every step, {raw:.0f} MB", ours=raw / seconds, reference=TARGET, target=">= 1", unit="MB/s/core")]
    steps = {**engine.seconds, "the rest": seconds - sum(engine.seconds.values())}
    for name, taken in sorted(steps.items(), key=lambda item: -item[1])[:SHOWN]:
        rows.append(Row(name=name, ours=taken, reference=seconds, target="-", unit="s"))
    write("whole-curation", rows, HOME)


def config(megabytes: int) -> CurationConfig:
    """Everything on."""
    names = ("gsm8k", "humaneval", "mbpp", "ifeval") if BENCHMARKS.exists() else ()
    return CurationConfig(
        sources=tuple(installed(domain, megabytes) for domain in PYTHON_DOMAINS),
        reading=ReadingConfig(language_model="lid176"),
        filtering=FilteringConfig(
            heuristics=RULE_SETS,
            personal_data=PERSONAL_DATA,
            flagged_words={"en": "ldnoobw"},
            benchmarks=tuple(Benchmark(name=name, uri=str(BENCHMARKS / name)) for name in names),
        ),
        quality=QualityConfig(references=references(), min_documents=50),
        passages=PassagesConfig(kinds=PASSAGES),
    )


def installed(domain: str, megabytes: int) -> Source:
    """So much of a domain of the installed packages."""
    size = megabytes * MEGABYTE
    return Source(uri=PYTHON_ENVIRONMENT, domain=domain, weight=1.0, sample_bytes=size, distributions=source_distributions())


def references() -> tuple[Source, ...]:
    """Modules of the standard library, and pages of novels where they are beside the project."""
    modules, novels = Path(sysconfig.get_path("stdlib")).glob("*.py"), NOVELS.glob("*-0.txt")
    paths = {"code": sorted(modules), "prose": sorted(novels)}
    return tuple(written(domain, of_domain) for domain, of_domain in paths.items() if of_domain)


def pages(path: Path) -> Iterator[str]:
    """A text in parts."""
    text = path.read_text(encoding="utf-8")
    return (text[start : start + PAGE] for start in range(0, len(text), PAGE))


def written(domain: str, paths: Sequence[Path]) -> Source:
    """The first pages as JSON lines."""
    first = itertools.islice(itertools.chain.from_iterable(map(pages, paths)), REFERENCE_BYTES // PAGE)
    path = DIRECTORY.parent / f"{DIRECTORY.name}-{domain}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in first))
    return Source(uri=str(path), domain=domain, weight=1.0)


def run(chosen: CurationConfig) -> tuple[float, TimedEngine, float]:
    """Processor seconds of a curation, its engine, and the raw megabytes read."""
    shutil.rmtree(DIRECTORY, ignore_errors=True)
    engine, started = TimedEngine(), time.process_time()
    figures = curate(chosen, output=DIRECTORY / "corpus", scratch=DIRECTORY / "scratch", engine=engine, metrics=SilentMetrics())
    seconds = time.process_time() - started
    print(json.dumps({name: figures[name] for name in ("not_kept", "quality")}))
    raw = sum(pq.read_table(DIRECTORY / "corpus" / "raw.parquet")["bytes"].to_pylist()) / MEGABYTE
    return seconds, engine, raw


if __name__ == "__main__":
    main()

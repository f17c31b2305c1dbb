"""With all optional steps at once, the bytes of a corpus depend only on its sources and its config."""

import hashlib
import json
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from components.curation import Benchmark, CurationConfig, QualityConfig
from components.ports import InProcessShardEngine
from tests import processes
from tests.components.curation.conftest import config, prose, rows, run, source, write_jsonl
from tests.components.curation.duplicates.test_deduplication_proof import DyingEngine, PoolEngine

pytestmark = pytest.mark.long

NOTICE = "This page was last edited by one of the volunteers who look after the archive of the town."
QUESTION = "which of the two rivers that meet below the old mill freezes first in a hard and early winter"


def chinese(seed: int, size: int) -> str:
    return "".join(chr(0x4E00 + (seed * 7919 + i * i * 31 + i * 17) % 20_000) for i in range(size))


def page(number: int) -> str:
    """A page in English or Chinese, good or poor; some contain what each step looks for."""
    if number % 4 == 3:
        return chinese(number % 50, 300) + (chinese(999, 80) if number % 3 else "") + "\n"
    kind = "buy now at the best price with a free coupon" if number % 5 == 0 else "the river runs past the old mill"
    paragraphs = [prose(number % 70, 90), kind, NOTICE]
    paragraphs += [f"write to jane{number}@example.org or call 93.184.216.{number}"] if number % 6 == 0 else []
    paragraphs += [QUESTION] if number % 31 == 0 else []
    paragraphs += [prose(900, 60)] if number % 7 == 0 else []
    paragraphs += ["as seen elsewhere"] if number > 70 else []
    return "\n\n".join(paragraphs) + "\n"


def everything(directory: Path) -> CurationConfig:
    """A config with all optional steps, over about a hundred documents in four files."""
    for name in ("web", "books", "reference"):
        (directory / name).mkdir(parents=True)
    for number in range(3):
        write_jsonl(directory / f"web/{number}.jsonl", [page(n) for n in range(number, 120, 3)])
    write_jsonl(directory / "books/0.jsonl", [f"{prose(n % 35, 110)}\n\n{NOTICE}\n" for n in range(20, 60)])
    english = [f"{prose(n)} the river runs past the old mill" for n in range(2000, 2040)]
    write_jsonl(directory / "reference/0.jsonl", [*english, *(chinese(n, 200) for n in range(300, 340))])
    (directory / "quiz.jsonl").write_text(json.dumps({"question": QUESTION}) + "\n")
    (directory / "words.txt").write_text("coupon\n")
    return config(
        source(directory / "web", "web"),
        source(directory / "books", "books"),
        quality=QualityConfig(references=(source(directory / "reference"),), min_documents=20, sample_documents=60),
        kinds=("line", "substring"),
        max_line_documents=4,
        personal_data=("email", "ipv4"),
        benchmarks=(Benchmark(name="quiz", uri=str(directory / "quiz.jsonl")),),
        flagged_words={"en": str(directory / "words.txt")},
        language_shares={"web": {"en": 2.0, "zh": 1.0}},
        language_temperature=2.0,
        samples=3,
        audited_removals=5,
        shard_bytes=12_000,
    )


def digests(chosen: CurationConfig, directory: Path, engine: Any = None) -> dict[str, str]:
    """Curate into `directory`, reusing its scratch directory; return the sha256 of each file of the corpus and of the figures."""
    directory.mkdir(exist_ok=True)
    (directory / "corpus").exists() and (directory / "corpus").rename(directory / f"left-{len(list(directory.iterdir()))}")
    figures = run(chosen, directory, engine=engine)
    files = {
        str(path.relative_to(directory)): path.read_bytes()
        for path in sorted((directory / "corpus").rglob("*"))
        if path.is_file()
    }
    files["figures"] = json.dumps(figures, sort_keys=True).encode()
    return {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}


@dataclass
class BackwardEngine(InProcessShardEngine):
    """Processes shards and exchanges tables in reverse order."""

    def map_shards(self, work: Any, shards: Sequence[Any], *, description: str, **options: Any) -> list[Any]:
        return super().map_shards(work, shards[::-1], description=description)[::-1]

    def exchange(self, tables: Sequence[Path], **options: Any) -> list[Path]:
        return super().exchange(tables[::-1], **options)


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> tuple[CurationConfig, Path, dict[str, str]]:
    """The config, the directory of the corpus that one process made from it, and its digests."""
    directory = tmp_path_factory.mktemp("everything")
    chosen = everything(directory / "data")
    return chosen, directory / "here", digests(chosen, directory / "here")


Known = tuple[CurationConfig, Path, dict[str, str]]


def test_every_step_had_something_to_do(known: Known) -> None:
    corpus = known[1] / "corpus"
    reasons = {row["reason"] for row in rows(corpus / "metrics/refusals.parquet")}
    assert reasons >= {"", "low-quality", "contaminated", "exact-duplicate", "near-duplicate"}
    assert {row["kind"] for row in rows(corpus / "metrics/personal_data.parquet")} == {"email", "ipv4"}
    assert {row["kind"] for row in rows(corpus / "passages.parquet")} == {"line", "substring"}
    assert {path.name for path in (corpus / "documents/train/web").iterdir()} == {"en", "zh"}
    assert len(rows(corpus / "samples.parquet")) > 20
    assert len(list((known[1] / "scratch").rglob("texts*.parquet"))) > 6


def test_passages_stand_in_documents_of_the_corpus(known: Known) -> None:
    corpus = known[1] / "corpus"
    kept = {row["id"] for path in corpus.glob("documents/**/*.parquet") for row in rows(path)}
    assert {row["kept"] for row in rows(corpus / "passages.parquet")} <= kept


@pytest.mark.parametrize("workers", [1, 2, 4])
def test_the_number_of_workers_changes_no_byte(workers: int, known: Known, tmp_path: Path) -> None:
    engine = PoolEngine(workers=workers)
    with engine.pool:
        assert digests(known[0], tmp_path / "pool", engine) == known[2]


def test_the_order_of_parts_changes_no_byte(known: Known, tmp_path: Path) -> None:
    assert digests(known[0], tmp_path / "back", BackwardEngine()) == known[2]


DEATHS = ("refuse low quality", "trim passages", "write the corpus")


def test_what_was_killed_three_times_goes_on_to_the_same_bytes(known: Known, tmp_path: Path) -> None:
    for death in DEATHS:
        engine = DyingEngine(description=death)
        process = processes.started(digests, known[0], tmp_path / "killed", engine)
        process.join()
        assert process.exitcode == -signal.SIGKILL, death
    assert digests(known[0], tmp_path / "killed") == known[2]

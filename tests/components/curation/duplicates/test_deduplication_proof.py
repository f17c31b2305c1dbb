"""On real text, all clearly similar pairs are found, no removal is unfounded, and only texts, ids and quality matter."""

import hashlib
import os
import random
import re
import signal
import sysconfig
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from components.curation.corpus.records import write_evidence
from components.curation.duplicates.deduplication import find_duplicates
from components.curation.duplicates.sketches import text_shards
from components.ports import InProcessShardEngine
from tests import processes
from tests.components.curation.conftest import config, passed, prose, rows, run, source, write_jsonl
from tests.exact_pairs import similar_pairs
from tests.paths import SHARED

pytestmark = pytest.mark.long

GUTENBERG = SHARED / "data/corpus/gutenberg"
THRESHOLD = 0.75
SIZE = 5
WORDS: dict[str, Callable[[str], list[str]]] = {
    "alphanumeric": lambda text: re.findall(r"\w+", text.lower()),
    "whitespace": str.split,
}
"""Words as a Python regular expression; valid for text without Han characters."""


def sets_of(texts: Sequence[str], words: str) -> list[set[str]]:
    split = [WORDS[words](text) for text in texts]
    return [{" ".join(tokens[i : i + SIZE]) for i in range(max(1, len(tokens) - SIZE + 1))} for tokens in split]


def chapters_and_pages() -> list[str]:
    """Every edition split into chapters, and each chapter into pages of ten paragraphs."""
    texts = []
    for path in sorted(GUTENBERG.glob("*.txt")):
        if path.name != "SOURCE.txt":
            for chapter in re.split(r"\n(?=chapter )", path.read_text(encoding="utf-8", errors="replace"), flags=re.IGNORECASE):
                paragraphs = re.split(r"\n\s*\n", chapter)
                pages = ["\n\n".join(paragraphs[start : start + 10]) for start in range(0, len(paragraphs), 10)]
                texts += [chapter, *pages] if len(pages) > 1 else pages
    return [text for text in texts if len(text.split()) > 30]


def vendored() -> list[str]:
    """Packages that some distributions have vendored, with the originals."""
    root = Path(sysconfig.get_path("purelib"))
    names = ["pip/_vendor", "setuptools/_vendor", "packaging", "platformdirs", "rich", "requests", "urllib3", "idna", "certifi"]
    paths = sorted(path for name in names for path in (root / name).rglob("*.py"))
    return [text for path in paths if len(text := path.read_text(encoding="utf-8")) > 300]


def tables_of(texts: Sequence[str], directory: Path, shards: int = 3) -> list[Path]:
    directory.mkdir(parents=True, exist_ok=True)
    ids = [identity(number) for number in range(len(texts))]
    paths = [directory / f"texts-{number}.parquet" for number in range(shards)]
    for number, path in enumerate(paths):
        rows_of = range(number * len(texts) // shards, (number + 1) * len(texts) // shards)
        columns = {"document": rows_of, "id": [ids[i] for i in rows_of], "group": [""] * len(rows_of)}
        pq.write_table(pa.table({**columns, "text": [texts[i] for i in rows_of]}), path)
    return paths


def identity(number: int) -> str:
    return hashlib.sha256(str(number).encode()).hexdigest()


def evidence(paths: Sequence[Path], directory: Path, engine: Any = None, **fields: Any) -> tuple[bytes, dict[str, Any]]:
    """The bytes of the table of removals, and the figures."""
    engine = engine or InProcessShardEngine()
    chosen = config(source("a"), near_duplicate_threshold=THRESHOLD, **{"shard_bytes": 2_000_000, **fields})
    shards = text_shards(paths, directory / "scratch")
    duplicates = find_duplicates(shards, chosen.duplicates, directory / "scratch", engine, memory=chosen.shard_bytes)
    write_evidence(shards, directory / "removed.parquet", directory / "records", engine, memory=10**9)
    return (directory / "removed.parquet").read_bytes(), duplicates.figures


@pytest.mark.parametrize(
    ("corpus", "words"),
    [
        pytest.param(
            chapters_and_pages,
            "alphanumeric",
            marks=[
                pytest.mark.slow,
                pytest.mark.skipif(not GUTENBERG.is_dir(), reason="needs the Gutenberg editions of ../shared/data"),
            ],
        ),
        (vendored, "alphanumeric"),
        (vendored, "whitespace"),
    ],
)
def test_similar_documents_are_found_and_every_removal_has_its_true_partner(
    corpus: Callable[[], list[str]], words: str, tmp_path: Path
) -> None:
    texts = corpus()
    _, figures = evidence(tables_of(texts, tmp_path), tmp_path, shingle_words=words)
    number = {identity(i): i for i in range(len(texts))}
    removed = {number[row["removed"]]: (number[row["kept"]], row["similarity"]) for row in rows(tmp_path / "removed.parquet")}
    sets = sets_of(texts, words)
    true = similar_pairs(sets, THRESHOLD)
    assert len(removed) > 100
    for document, (kept, similarity) in removed.items():
        assert kept not in removed
        assert similarity == len(sets[document] & sets[kept]) / len(sets[document] | sets[kept]) >= THRESHOLD
    clear = [pair for pair, similarity in true.items() if similarity >= THRESHOLD + 0.05]
    assert len(clear) > 100
    assert sum(not removed.keys().isdisjoint(pair) for pair in clear) >= 0.98 * len(clear)
    edges = verified(tmp_path)
    assert edges.items() <= true.items()
    assert sum(pair in edges for pair in clear) >= 0.98 * len(clear)
    assert figures["similar"] <= figures["candidates"]


def verified(directory: Path) -> dict[tuple[int, int], float]:
    """The pairs of texts (i < j) that were verified, with their similarity; copies are pairs with the first of their text, in
    their part or in all."""
    numbers = {identity(i): i for i in range(100_000)}
    similarities = {}
    for path in [*(directory / "scratch/pairs").glob("*.verified"), *(directory / "scratch/heads").glob("*.edges")]:
        for row in passed(path):
            first, second = numbers[row["left_id"]], numbers[row["right_id"]]
            similarities[min(first, second), max(first, second)] = row["similarity"]
    for path in (directory / "scratch").glob("part-*/repeats*"):
        for row in passed(path):
            first, second = numbers[row["original_id"]], numbers[row["id"]]
            similarities[min(first, second), max(first, second)] = 1.0
    return similarities


def family(number: int) -> list[str]:
    """A text, a copy of it, and two texts that differ from it by some words."""
    text = prose(number, 200)
    words = text.split()
    return [text, " ".join([*words[:-9], "some", "other", "words", "stand", "here", "now"]), text, " ".join(words[7:])]


@dataclass
class PoolEngine(InProcessShardEngine):
    """Runs shards in several processes, started in a different order."""

    workers: int = 1
    pool: ProcessPoolExecutor = field(init=False)

    def __post_init__(self) -> None:
        self.pool = ProcessPoolExecutor(self.workers, mp_context=processes.server())

    def map_shards(self, work: Any, shards: Sequence[Any], *, description: str, finished: Any = None) -> list[Any]:
        order = list(range(len(shards)))
        random.Random(f"{self.workers} {description}").shuffle(order)
        begun = {index: self.pool.submit(work, shards[index]) for index in order}
        return [begun[index].result() for index in range(len(shards))]


def test_the_bytes_are_the_same_for_any_number_of_workers_and_any_order_of_shards(tmp_path: Path) -> None:
    paths = tables_of([text for number in range(30) for text in family(number)], tmp_path, shards=5)
    fields = {"shard_bytes": 60_000}
    expected, _ = evidence(paths, tmp_path / "here", **fields)
    assert len(rows(tmp_path / "here/removed.parquet")) > 60
    for workers in (1, 2, 4):
        engine = PoolEngine(workers=workers)
        with engine.pool:
            assert evidence(paths, tmp_path / f"pool-{workers}", engine, **fields)[0] == expected
    for order in (paths[::-1], paths[2:] + paths[:2]):
        assert evidence(order, tmp_path / order[0].stem, **fields)[0] == expected
    assert evidence(paths, tmp_path / "large", shard_bytes=10**9)[0] == expected


@dataclass
class DyingEngine(InProcessShardEngine):
    """Is killed in the middle of the work with a given description."""

    description: str = ""

    def map_shards(self, work: Any, shards: Sequence[Any], *, description: str, **options: Any) -> list[Any]:
        if description == self.description:
            super().map_shards(work, shards[: (len(shards) + 1) // 2], description=description)
            os.kill(os.getpid(), signal.SIGKILL)
        return super().map_shards(work, shards, description=description, **options)


def curated(data: Path, directory: Path, engine: Any = None) -> dict[str, str]:
    """Curate into `directory` again, reusing its scratch directory; return the hashes of the corpus."""
    (directory / "corpus").exists() and (directory / "corpus").rename(directory / f"left-{len(list(directory.iterdir()))}")
    run(config(source(data), shard_bytes=40_000), directory, engine=engine)
    files = sorted(path for path in (directory / "corpus").rglob("*") if path.is_file())
    return {str(path.relative_to(directory)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


DEATHS = ("hash documents", "split by key", "verify candidates", "judge clusters", "select kept documents")


def test_a_killed_curation_goes_on_to_the_same_bytes(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    for number in range(4):
        texts = [text for member in range(number * 8, number * 8 + 8) for text in family(member)]
        write_jsonl(tmp_path / f"data/{number}.jsonl", texts)
    expected = curated(tmp_path / "data", tmp_path / "whole")
    for death in DEATHS:
        process = processes.started(curated, tmp_path / "data", tmp_path / "killed", DyingEngine(description=death))
        process.join()
        assert process.exitcode == -signal.SIGKILL, death
    assert curated(tmp_path / "data", tmp_path / "killed") == expected

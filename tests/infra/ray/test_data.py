"""The shard engine on Ray Data: the promises of the port, the same corpus, and an honest overhead."""

import hashlib
import logging
import os
import shutil
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from components.curation.config import CurationConfig
from components.curation.extraction import extract as extraction
from components.curation.extraction.extract import ExtractedShard, ExtractionShard
from components.curation.reading.readers import RawDocument
from components.curation.reading.sources import RawFile
from components.errors import ExtensionError
from components.extensions import Extension, gathered
from components.ports import InProcessShardEngine
from infra.ray.data import RayShardEngine, covered
from tests.components.curation.conftest import config, planned_shards, prose, rows, run, source, write_jsonl
from tests.components.ports.shard_engine_suite import ShardEngineSuite


def test_overlapping_intervals_count_once() -> None:
    assert covered([]) == 0
    assert covered([(5.0, 6.0), (1.0, 3.0), (2.0, 2.5), (2.0, 4.0)]) == 4.0


def process_of(shard: int) -> int:
    """Which process works."""
    return os.getpid()


def slow(seconds: float) -> float:
    """Work that takes its time."""
    time.sleep(seconds)
    return seconds


def reading_as_killed(shard: ExtractionShard) -> ExtractedShard:
    """Read a shard, and be killed without a word at the files `b` and `d`, as by the kernel's want of memory."""
    read = extraction.read_documents

    def deadly(file: RawFile, chosen: CurationConfig) -> Iterator[RawDocument]:
        if Path(file.uri).name[0] in "bd":
            os.kill(os.getpid(), signal.SIGKILL)
        return read(file, chosen)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(extraction, "read_documents", deadly)
        return extraction.extract(shard)


@pytest.mark.ray
@pytest.mark.usefixtures("local_ray")
class TestRayShardEngine(ShardEngineSuite):
    @pytest.fixture
    def engine(self) -> RayShardEngine:
        return RayShardEngine()

    def test_the_work_is_done_by_workers(self, engine: RayShardEngine) -> None:
        assert os.getpid() not in engine.map_shards(process_of, [1, 2], description="where")

    def test_overhead_is_the_time_in_which_no_worker_works(self, engine: RayShardEngine) -> None:
        started = time.time()
        engine.map_shards(slow, [0.3, 0.3, 0.3], description="sleep")
        wall = time.time() - started
        assert 0 < engine.overhead_seconds <= wall - 0.3

    def test_it_says_nothing_while_it_works(self, engine: RayShardEngine, capfd: pytest.CaptureFixture[str]) -> None:
        engine.map_shards(process_of, [1, 2], description="quiet")
        assert capfd.readouterr() == ("", "")
        assert logging.getLogger("ray.data").level == logging.ERROR

    def test_a_corpus_has_the_same_bytes_as_without_ray(self, engine: RayShardEngine, tmp_path: Path) -> None:
        write_jsonl(tmp_path / "a.jsonl", [prose(number) for number in range(30)] + [prose(3), None])
        write_jsonl(tmp_path / "b.jsonl", [prose(number) for number in range(20, 45)])
        chosen = config(source(tmp_path / "a.jsonl"), source(tmp_path / "b.jsonl", "web"), shard_bytes=5000)
        figures = [run(chosen, tmp_path / name, engine=e) for name, e in (("ray", engine), ("here", InProcessShardEngine()))]
        assert figures[0] == figures[1]
        assert digest(tmp_path / "ray/corpus") == digest(tmp_path / "here/corpus")

    def test_a_recipe_s_own_filter_and_reader_work_in_workers_without_its_folder(
        self, engine: RayShardEngine, tmp_path: Path
    ) -> None:
        folder = tmp_path / "own"
        folder.mkdir()
        for name, text in RAY_LOG_PATTERNS.items():
            (folder / name).write_text(text)
        rules = (Extension(code="own.py:NoTables", values={"word": "table"}),)
        for name in ("a", "b"):
            lines = [f"{'table ' if number % 3 == 0 else ''}{prose(number + 100 * (name == 'b'))}" for number in range(12)]
            (tmp_path / f"{name}.lines").write_text("\n".join(lines))
        sources = [source(tmp_path / f"{name}.lines", name, reader=Extension(code="own.py:Lines")) for name in ("a", "b")]
        chosen = gathered(config(*sources, filters=rules, shard_bytes=5000), folder)
        shutil.rmtree(folder)
        figures = [run(chosen, tmp_path / name, engine=e) for name, e in (("ray", engine), ("here", InProcessShardEngine()))]
        assert figures[0] == figures[1]
        assert figures[0]["not_kept"] == {"table": 8}
        assert digest(tmp_path / "ray/corpus") == digest(tmp_path / "here/corpus")

    def test_a_failure_of_a_recipe_s_own_code_in_a_worker_names_line_and_document(
        self, engine: RayShardEngine, tmp_path: Path
    ) -> None:
        (tmp_path / "own.py").write_text("class Own:\n    def refusal(self, document):\n        return document.none\n")
        chosen = config(source(write_jsonl(tmp_path / "a.jsonl", [prose(1)])), filters=(Extension(code="own.py:Own"),))
        with pytest.raises(ExtensionError, match=r"filter own\.py:Own, own\.py:3: AttributeError: .*; document \S*#1"):
            run(gathered(chosen, tmp_path), tmp_path / "ray", engine=engine)

    def test_files_that_workers_die_of_are_set_aside_and_the_job_goes_on(self, engine: RayShardEngine, tmp_path: Path) -> None:
        (tmp_path / "data").mkdir()
        for number, name in enumerate("abcde"):
            write_jsonl(tmp_path / f"data/{name}.jsonl", [prose(number)])
        chosen = config(source(tmp_path / "data"), max_read_attempts=2)
        shards = planned_shards(chosen, tmp_path / "scratch")
        (report,) = engine.map_shards(reading_as_killed, shards, description="read")
        lost = {row["path"]: row["error"] for row in rows(report.set_aside)}
        error = "reading it crashed the worker process 2 times"
        assert (report.documents, lost) == (3, {"b.jsonl": error, "d.jsonl": error})


RAY_LOG_PATTERNS = {
    "own.py": """
from pathlib import Path

import lines


class Lines:
    def read(self, path):
        yield from lines.of(path)


class NoTables:
    def __init__(self, word: str) -> None:
        self.word, self.marks = word, Path(__file__).with_name("marks.txt").read_text().split()

    def refusal(self, document):
        return self.word if document.text.split()[0] in self.marks else None
""",
    "lines.py": "def of(path):\n    return path.read_text().splitlines()\n",
    "marks.txt": "table chart\n",
}


def digest(corpus: Path) -> dict[str, str]:
    files = sorted(path for path in corpus.rglob("*") if path.is_file())
    return {str(path.relative_to(corpus)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}

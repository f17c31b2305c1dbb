"""The first pass over a shard writes everything that later steps need, and a finished shard is not read again."""

import gzip
import hashlib
import json
import pickle
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from components.curation.extraction import extract as extraction
from components.curation.extraction import spool
from components.curation.extraction.extract import SHARD_BITS, ExtractedShard, ExtractionShard, extract
from components.curation.reading.config import Reading
from components.curation.reading.readers import RawDocument, read_documents
from components.curation.reading.sources import RawFile
from components.curation.text.draw import hash_of
from components.errors import StoreError
from tests.components.curation.conftest import config, planned_shards, prose, rows, source, write_jsonl


def extracted(tmp_path: Path, **fields: int) -> list[ExtractedShard]:
    chosen = config(source(tmp_path / "data", licence="MIT"), **fields)
    return [extract(shard) for shard in planned_shards(chosen, tmp_path / "scratch")]


def test_texts_carry_where_they_come_from(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data/a.txt").write_text(prose(1) + " \r\n")
    (shard,) = extracted(tmp_path)
    (document,) = rows(shard.texts[0])
    raw = prose(1) + " \r\n"
    assert document == {
        "document": 0,
        "text_hash": hash_of(f"{prose(1)}\n".encode()),
        "id": hashlib.sha256(b"data\0a.txt").hexdigest(),
        "text": prose(1) + "\n",
        "source": "data",
        "uri": "a.txt",
        "group": "",
        "domain": "prose",
        "language": "en",
        "licence": "MIT",
        "sha256": hashlib.sha256(raw.encode()).hexdigest(),
        "bytes": len(prose(1)) + 1,
        "flagged_words_ratio": None,
        "quality": None,
    }
    (listed,) = rows(shard.raw)
    assert listed == {"source": "data", "path": "a.txt", "sha256": document["sha256"], "bytes": len(raw)}


def test_every_document_read_has_a_row_and_only_those_that_passed_a_number(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    write_jsonl(tmp_path / "data/a.jsonl", [prose(1), "short", None, prose(2)])
    (shard,) = extracted(tmp_path)
    assert [(row["document"], row["reason"], row["uri"][-2:]) for row in rows(shard.rows)] == [
        (0, "", "#1"),
        (-1, "short", "#2"),
        (-1, "bad-line", "#3"),
        (1, "", "#4"),
    ]
    assert (shard.documents, shard.text_shards) == (2, 1)


def test_small_files_share_a_shard_of_the_configured_size(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    for number in range(4):
        (tmp_path / f"data/{number}.txt").write_text(prose(number))
    chosen = config(source(tmp_path / "data"), shard_bytes=2 * len(prose(0)) + 10)
    shards = planned_shards(chosen, tmp_path)
    assert [[Path(file.location).stem for file in shard.files] for shard in shards] == [["0", "1"], ["2", "3"]]


def test_domains_of_one_environment_share_shards_although_their_files_alternate(tmp_path: Path) -> None:
    packages = ("packaging", "mpmath", "networkx", "click", "attrs")
    domains = [source("python-environment:", domain, distributions=packages) for domain in ("code", "prose", "maths")]
    (shard,) = planned_shards(config(*domains, shard_bytes=10**9), tmp_path)
    assert len({file.source for file in shard.files}) > 1


def test_the_texts_of_a_large_file_are_written_in_parts(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    write_jsonl(tmp_path / "data/a.jsonl", [prose(number) for number in range(10)])
    (shard,) = extracted(tmp_path, shard_bytes=3 * len(prose(0)))
    tables = [rows(path) for path in shard.texts]
    assert all(sum(row["bytes"] for row in table) >= 3 * len(prose(0)) for table in tables[:-1])
    assert len(tables) > 2
    assert [row["document"] for table in tables for row in table] == list(range(10))


def test_numbers_of_documents_tell_their_shard(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    for number in range(3):
        (tmp_path / f"data/{number}.txt").write_text(prose(number))
    shards = extracted(tmp_path, shard_bytes=100)
    assert [rows(shard.texts[0])[0]["document"] >> SHARD_BITS for shard in shards] == [0, 1, 2]


def test_a_shard_that_was_finished_before_a_kill_is_not_read_again(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data/a.txt").write_text(prose(1))
    chosen = config(source(tmp_path / "data"))
    (shard,) = planned_shards(chosen, tmp_path / "scratch")
    first = extract(shard)
    (tmp_path / "data/a.txt").unlink()
    assert extract(shard) == first


@pytest.mark.parametrize("shard_bytes", [100_000, 2 * len(prose(0))])
def test_a_file_that_cannot_be_read_is_set_aside_and_leaves_nothing_behind(tmp_path: Path, shard_bytes: int) -> None:
    (tmp_path / "data").mkdir()
    write_jsonl(tmp_path / "data/a.jsonl", [prose(1)])
    whole = gzip.compress("".join(json.dumps({"text": prose(number)}) + "\n" for number in range(10, 60)).encode())
    (tmp_path / "data/b.jsonl.gz").write_bytes(whole[:-50])
    write_jsonl(tmp_path / "data/c.jsonl", [prose(2), prose(3)])
    chosen = config(source(tmp_path / "data"), shard_bytes=100_000)
    (planned,) = planned_shards(chosen, tmp_path / "scratch")
    shard = extract(replace(planned, config=replace(planned.config, shard_bytes=shard_bytes)))
    texts = [row for path in shard.texts for row in rows(path)]
    assert [row["text"].strip() for row in texts] == [prose(1), prose(2), prose(3)]
    assert [row["document"] for row in texts] == [row["document"] for row in rows(shard.rows)] == [0, 1, 2]
    assert {row["path"] for row in rows(shard.raw)} == {"a.jsonl", "c.jsonl"}
    (aside,) = rows(shard.set_aside)
    assert aside["path"] == "b.jsonl.gz"
    assert "cannot be read to its end" in aside["error"]


def test_a_file_that_fails_late_takes_back_all_that_it_gave(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool, "CHUNK_ROWS", 8)
    (tmp_path / "data").mkdir()
    write_jsonl(tmp_path / "data/a.jsonl", [f"{prose(n)} a@example.org" for n in range(5)])
    write_jsonl(tmp_path / "data/b.jsonl", [*(f"{prose(n)} b@example.org" for n in range(20, 50)), None])
    write_jsonl(tmp_path / "data/c.jsonl", [f"{prose(n)} c@example.org" for n in range(60, 75)])
    chosen = config(source(tmp_path / "data"), shard_bytes=100_000, personal_data=("email",), max_bad_lines=0)
    (shard,) = planned_shards(chosen, tmp_path / "scratch")
    output = extract(shard)
    assert [row["uri"].partition("#")[0] for row in rows(output.rows)] == ["a.jsonl"] * 5 + ["c.jsonl"] * 15
    assert [(row["kind"], row["documents"], row["found"]) for row in rows(output.personal_data)] == [("email", 20, 20)]
    assert [row["path"] for row in rows(output.set_aside)] == ["b.jsonl"]


@pytest.mark.slow
def test_a_file_of_four_times_as_many_documents_takes_little_more_memory(tmp_path: Path) -> None:
    script = (
        "import re, sys; from pathlib import Path\n"
        "from components.curation.extraction.extract import extract\n"
        "from tests.components.curation.conftest import config, planned_shards, source\n"
        "place = Path(sys.argv[1])\n"
        "chosen = config(source(place), shard_bytes=1_000_000, personal_data=('email',))\n"
        "extract(*planned_shards(chosen, place.parent / 'scratch'))\n"
        "print(re.search(r'VmHWM:\\s+(\\d+)', Path('/proc/self/status').read_text())[1])\n"
    )
    peaks = []
    for count in (20_000, 80_000):
        path = tmp_path / str(count) / "a.jsonl"
        path.parent.mkdir()
        write_jsonl(path, (f"{prose(n, 6)} {n}@example.org" for n in range(count)))
        done = subprocess.run([sys.executable, "-c", script, str(path)], check=True, capture_output=True, text=True)
        peaks.append(int(done.stdout) * 1024)
    # A row takes a kilobyte as a dictionary: keeping all rows would take 60 MB more.
    assert peaks[1] - peaks[0] < 30_000_000


def test_a_file_is_read_again_before_it_is_set_aside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_jsonl(tmp_path / "a.jsonl", [prose(1), prose(2)])
    chosen = config(source(tmp_path / "a.jsonl"))
    (shard,) = planned_shards(chosen, tmp_path / "scratch")
    tries = iter([OSError("the disk was away"), None])

    def sometimes(file: RawFile, reading: Reading) -> Iterator[RawDocument]:
        for document in read_documents(file, reading):
            yield document
            if error := next(tries, None):
                raise error

    monkeypatch.setattr(extraction, "read_documents", sometimes)
    output = extract(shard)
    assert (output.documents, rows(output.set_aside)) == (2, [])


def a_shard_of(directory: Path, names: str) -> ExtractionShard:
    """A shard with one document per letter."""
    (directory / "data").mkdir()
    for name in names:
        write_jsonl(directory / f"data/{name}.jsonl", [prose(ord(name))])
    return planned(directory)


def planned(directory: Path) -> ExtractionShard:
    """The same shard, planned by another run of the driver."""
    chosen = config(source(directory / "data"), max_read_attempts=2)
    (shard,) = planned_shards(chosen, directory / "scratch")
    return shard


def worker(shard: ExtractionShard, killers: str, *, end: str = "os.abort()", alone: bool = False) -> int:
    """The exit status of a process that extracts the shard and is killed at each file whose letter is in `killers`.

    The process is a worker of the driver that planned the shard, or with `alone` the driver itself.
    """
    script = (
        "import os, pickle, signal, sys; from dataclasses import replace; from pathlib import Path\n"
        "from components.curation.extraction import crashes, extract as extraction\n"
        "read = extraction.read_documents\n"
        f"def deadly(file, reading):\n    if file.path[0] in {killers!r}: {end}\n    return read(file, reading)\n"
        "extraction.read_documents = deadly\n"
        "shard = pickle.loads(bytes.fromhex(sys.argv[1]))\n"
        f"extraction.extract(replace(shard, run=crashes.new_run()) if {alone} else shard)\n"
    )
    done = subprocess.run([sys.executable, "-c", script, pickle.dumps(shard).hex()], capture_output=True, check=False)
    assert b"Traceback" not in done.stderr, done.stderr
    return done.returncode


def set_aside(shard: ExtractionShard) -> tuple[int, dict[str, str]]:
    """The number of kept documents, and the errors of the files that were set aside, by letter."""
    output = extract(shard)
    return output.documents, {row["path"][0]: row["error"] for row in rows(output.set_aside)}


DIED = "reading it crashed the worker process 2 times"


@pytest.mark.long
@pytest.mark.parametrize("alone", [True, False])
def test_files_that_workers_die_of_are_set_aside_one_after_the_other(tmp_path: Path, alone: bool) -> None:
    shard = a_shard_of(tmp_path, "abcd")
    assert [worker(shard, "bd", alone=alone) != 0 for _ in range(5)] == [True] * 4 + [False]
    assert set_aside(shard) == (2, {"b": DIED, "d": DIED})


@pytest.mark.long
def test_a_file_that_was_condemned_stays_so_when_the_job_dies_at_another(tmp_path: Path) -> None:
    shard = a_shard_of(tmp_path, "abcd")
    assert [worker(shard, killers) != 0 for killers in ("b", "b", "bc", "b")] == [True] * 3 + [False]
    assert set_aside(shard) == (3, {"b": DIED})


@pytest.mark.long
@pytest.mark.parametrize("rest", [b'{"deaths": {}, "rea', bytes(100), b"\xff\n"])
def test_what_a_lost_machine_left_behind_the_last_line_of_the_note_is_passed_over(tmp_path: Path, rest: bytes) -> None:
    shard = a_shard_of(tmp_path, "abc")
    assert worker(shard, "b") != 0
    note = Path(shard.directory) / "reading.jsonl"
    note.write_bytes(note.read_bytes() + rest)
    assert worker(shard, "b") != 0
    assert set_aside(shard) == (2, {"b": DIED})


@pytest.mark.parametrize("interrupt", [KeyboardInterrupt, SystemExit, StoreError])
def test_who_interrupts_a_job_condemns_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, interrupt: type[BaseException]
) -> None:
    shard = a_shard_of(tmp_path, "ab")

    def interrupted(file: RawFile, reading: Reading) -> Iterator[RawDocument]:
        yield from read_documents(file, reading)
        raise interrupt

    monkeypatch.setattr(extraction, "read_documents", interrupted)
    for _ in range(3):
        with pytest.raises(interrupt):
            extract(shard)
    monkeypatch.undo()
    assert set_aside(shard) == (2, {})


@pytest.mark.long
def test_who_terminates_a_job_condemns_no_file(tmp_path: Path) -> None:
    shard = a_shard_of(tmp_path, "ab")
    end = "os.kill(os.getpid(), signal.SIGTERM)"
    assert [worker(shard, "a", end=end, alone=True) for _ in range(3)] == [128 + signal.SIGTERM] * 3
    assert set_aside(shard) == (2, {})


@pytest.mark.long
def test_workers_that_die_with_their_driver_condemn_no_file(tmp_path: Path) -> None:
    a_shard_of(tmp_path, "ab")
    assert all(worker(planned(tmp_path), "a") for _ in range(3))
    assert set_aside(planned(tmp_path)) == (2, {})

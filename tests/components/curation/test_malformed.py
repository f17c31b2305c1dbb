"""A thousand malformed inputs: none crashes the job, hangs it or exhausts memory."""

import gzip
import io
import json
import math
import random
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from components.curation.config import PERSONAL_DATA, RULE_SETS
from components.curation.extraction.extract import extract
from components.curation.text.heuristics import RULES
from tests.components.curation.conftest import config, planned_shards, prose, rows, source
from tests.components.curation.reading.test_web_archives import html, record


def sentence(number: int) -> str:
    """A line that passes all filters, even those for boilerplate lines, with something that looks like personal data."""
    return f"{prose(number)} {number}@example.org or +1 202 555 01{number:02d}."


TEXT = "\n".join(sentence(number) for number in range(40)).encode()
LINES = "".join(json.dumps({"text": sentence(number), "n": number}) + "\n" for number in range(40)).encode()
GOOD = b"".join(LINES.splitlines(keepends=True)[:5])


def arrow() -> bytes:
    table = pa.table({"text": [sentence(number) for number in range(40)]})
    output = io.BytesIO()
    with pa.ipc.new_stream(output, table.schema) as stream:
        stream.write_table(table, max_chunksize=7)
    return output.getvalue()


def parquet() -> bytes:
    output = io.BytesIO()
    pq.write_table(pa.table({"text": [sentence(number) for number in range(40)]}), output, row_group_size=7)
    return output.getvalue()


WARC = b"".join(gzip.compress(record(f"http://a.org/{number}", html(sentence(number)).encode())) for number in range(10))
WHOLE: dict[str, bytes] = {
    "a.txt": TEXT,
    "a.txt.gz": gzip.compress(TEXT),
    "a.jsonl": LINES,
    "a.jsonl.gz": gzip.compress(LINES),
    "a.jsonl.zst": zstandard.compress(LINES),
    "a.parquet": parquet(),
    "a.arrow": arrow(),
    "a.warc": gzip.decompress(WARC),
    "a.warc.gz": WARC,
    "a.warc.zst": zstandard.compress(gzip.decompress(WARC)),
}


EVERYTHING: dict[str, Any] = {
    "language_model": "lid176",
    "heuristics": RULE_SETS,
    # Every rule runs but refuses nothing, since a refusal would keep a document from all later rules.
    "heuristic_thresholds": {rule.name: -math.inf if rule.min_by_kind else math.inf for rule in RULES},
    "personal_data": PERSONAL_DATA,
}
"""All optional steps before deduplication."""


def truncated(data: bytes, chance: random.Random) -> bytes:
    return data[: chance.randrange(len(data))]


def flipped(data: bytes, chance: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(chance.randint(1, 30)):
        changed[chance.randrange(len(data))] = chance.randrange(256)
    return bytes(changed)


def shuffled(data: bytes, chance: random.Random) -> bytes:
    start, end = sorted(chance.randrange(len(data)) for _ in range(2))
    return data[:start] + data[end:] + data[start:end]


def filled(data: bytes, chance: random.Random) -> bytes:
    start = chance.randrange(len(data))
    return data[:start] + bytes([chance.choice(b"\x00\xff\n{[<\xc3")]) * chance.randrange(1, 50_000) + data[start:]


def foreign(data: bytes, chance: random.Random) -> bytes:
    return chance.choice([other for other in WHOLE.values() if other is not data])


DAMAGES: tuple[Callable[[bytes, random.Random], bytes], ...] = (truncated, flipped, shuffled, filled, foreign)


def survives(directory: Path, name: str, data: bytes) -> None:
    """Assert that extraction keeps the good file, and reads the bad file up to the damage or sets it aside with an error."""
    raw = directory / "raw"
    raw.mkdir(parents=True)
    (raw / name).write_bytes(data)
    (raw / "good.jsonl").write_bytes(GOOD)
    chosen = config(source(raw), max_read_attempts=1, max_document_bytes=1_000_000, **EVERYTHING)
    shards = [extract(shard) for shard in planned_shards(chosen, directory / "scratch")]
    listed = [row for shard in shards for row in rows(shard.rows)]
    assert sum("good.jsonl#" in row["uri"] and not row["reason"] for row in listed) == 5
    aside = [row for shard in shards for row in rows(shard.set_aside)]
    assert all(row["error"] and "good" not in row["path"] for row in aside)
    if aside:
        assert not any(name in row["uri"] for row in listed)


def damaged(count: int) -> Iterator[tuple[int, str, bytes]]:
    """Reproducible damage, applied to every kind of file in turn."""
    names = list(WHOLE)
    for seed in range(count):
        chance = random.Random(seed)
        name = names[seed % len(names)]
        yield seed, name, DAMAGES[seed // len(names) % len(DAMAGES)](WHOLE[name], chance)


@pytest.mark.long
def test_every_kind_of_file_survives_every_kind_of_damage(tmp_path: Path) -> None:
    for seed, name, data in damaged(len(WHOLE) * len(DAMAGES)):
        survives(tmp_path / str(seed), name, data)


@pytest.mark.slow
def test_a_thousand_damaged_files_are_survived(tmp_path: Path) -> None:
    for seed, name, data in damaged(1000):
        survives(tmp_path / str(seed), name, data)


@pytest.mark.long
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.sampled_from(sorted(WHOLE)), data=st.binary(min_size=1, max_size=2000))
def test_any_bytes_under_any_name_are_survived(tmp_path_factory: pytest.TempPathFactory, name: str, data: bytes) -> None:
    survives(tmp_path_factory.mktemp("any"), name, data)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    value=st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(alphabet=st.characters(codec=None)),
        lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["text", "a", ""]), inner),
    )
)
def test_any_json_in_a_line_is_survived(tmp_path_factory: pytest.TempPathFactory, value: object) -> None:
    survives(
        tmp_path_factory.mktemp("json"), "a.jsonl", json.dumps({"text": value}).encode() + b"\n" + json.dumps(value).encode()
    )


def nested_nulls() -> bytes:
    kind = pa.struct({"text": pa.list_(pa.struct({"text": pa.null()}))})
    output = io.BytesIO()
    pq.write_table(pa.table({"text": pa.array([None, {"text": None}, {"text": [None, {"text": None}]}], kind)}), output)
    return output.getvalue()


def archive() -> bytes:
    output = io.BytesIO()
    with tarfile.open(fileobj=output, mode="w:gz") as packed:
        packed.addfile(tarfile.TarInfo("a"))
    return output.getvalue()


BY_HAND: dict[str, tuple[str, bytes]] = {
    "parquet of nested nulls": ("a.parquet", nested_nulls()),
    "a null character for each letter": ("a.txt", prose(1).encode("utf-16")),
    "half of a surrogate pair": ("a.jsonl", b'{"text": "\\ud83d"}\n'),
    "json deeper than the stack": ("a.jsonl", b'{"text":' * 100_000 + b"1" + b"}" * 100_000),
    "numbers without end": ("a.jsonl", b'{"text": ' + b"9" * 100_000 + b"}"),
    "an archive in gzip": ("a.txt.gz", archive()),
    "gzip in gzip": ("a.jsonl.gz", gzip.compress(gzip.compress(LINES))),
    "gzip with garbage behind it": ("a.jsonl.gz", gzip.compress(LINES) + b"garbage"),
    "a frame of zstandard that asks for gigabytes": ("a.txt.zst", b"\x28\xb5\x2f\xfd\x00\xf8" + b"\x01\x00\x00xxx"),
    "an empty member": ("a.warc.gz", gzip.compress(b"")),
    "a record longer than it says": ("a.warc", b"WARC/1.0\r\nWARC-Type: response\r\nContent-Length: 3\r\n\r\nabcdefgh\r\n\r\n"),
    "a record shorter than it says": ("a.warc", b"WARC/1.0\r\nWARC-Type: response\r\nContent-Length: 999999999\r\n\r\nabc"),
    "a record of negative length": ("a.warc", b"WARC/1.0\r\nWARC-Type: response\r\nContent-Length: -1\r\n\r\nabc\r\n\r\n"),
    "a header without end": ("a.warc", b"WARC/1.0\r\n" + b"X: " + b"y" * 1_000_000),
    "html of death in a record": ("a.warc", record("http://a.org", b"<div>" * 300_000)),
    "an address that is no text": ("a.warc", record("http://a.org", b"<p>x").replace(b"http://a.org", b"http://\xff\xfe.r")),
}


@pytest.mark.parametrize("name", BY_HAND)
def test_what_was_made_by_hand_is_survived(tmp_path: Path, name: str) -> None:
    survives(tmp_path, *BY_HAND[name])


def bomb_of_parquet() -> bytes:
    output = io.BytesIO()
    dictionary = pa.DictionaryArray.from_arrays(np.zeros(4_000, dtype=np.int32), pa.array(["x" * 500_000]))
    pq.write_table(pa.table({"text": dictionary}), output)
    return output.getvalue()


def bomb_of_plain_parquet() -> bytes:
    """A Parquet bomb in the file's dictionary, which neither the schema nor any recorded size shows."""
    output = io.BytesIO()
    pq.write_table(pa.table({"text": ["x" * 1_040_000] * 1_200}), output, store_schema=False)
    return output.getvalue()


GIGABYTE = 1 << 30
HUGE: dict[str, tuple[str, Callable[[], bytes]]] = {
    "a gzip bomb in one line": ("a.jsonl.gz", lambda: gzip.compress(b"x" * (GIGABYTE // 64)) * 64),
    "a gzip bomb in text": ("a.txt.gz", lambda: gzip.compress(b"\n" * (GIGABYTE // 64)) * 64),
    "a zstandard bomb": ("a.txt.zst", lambda: zstandard.compress(b"\0" * GIGABYTE)),
    "a bomb of a web archive": ("a.warc.gz", lambda: gzip.compress(record("http://a.org", b" " * (GIGABYTE // 4)))),
    "lines of 100 MB": ("a.jsonl", lambda: b'{"text": "' + b"x" * 100_000_000 + b'"}\n' + b'{"text": "' + b"y" * 100_000_000),
    "one text in every row": ("a.parquet", bomb_of_parquet),
    "one text in every row of a plain column": ("a.parquet", bomb_of_plain_parquet),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", HUGE)
def test_what_is_huge_fits_into_a_gigabyte_and_two_minutes(tmp_path: Path, name: str) -> None:
    file, make = HUGE[name]
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / file).write_bytes(make())
    (tmp_path / "raw/good.jsonl").write_bytes(LINES)
    script = (
        "import re, sys; from pathlib import Path\n"
        "from components.curation.extraction.extract import extract\n"
        "from tests.components.curation.conftest import config, planned_shards, source\n"
        "place = Path(sys.argv[1])\n"
        "chosen = config(source(place / 'raw'), shard_bytes=10_000_000, max_characters=1_000_000, max_document_bytes=1_000_000)\n"
        "found = [extract(shard) for shard in planned_shards(chosen, place / 'scratch')]\n"
        # getrusage would include the memory of this process before the other started.
        "peak = re.search(r'VmHWM:\\s+(\\d+)', Path('/proc/self/status').read_text())[1]\n"
        "print(sum(shard.documents for shard in found), peak)\n"
    )
    command = [sys.executable, "-c", script, str(tmp_path)]
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120)
    kept, peak = map(int, done.stdout.split())
    assert kept >= 40
    assert peak * 1024 < GIGABYTE

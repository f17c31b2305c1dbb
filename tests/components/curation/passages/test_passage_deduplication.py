"""Repeated passages match an exhaustive search, are kept once, and are trimmed with evidence, on any engine."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from components import interim
from components.curation import PassagesConfig, tables
from components.curation.duplicates.sketches import TextShard, text_shards
from components.curation.passages.passage_deduplication import find_passages, write_passages
from components.curation.passages.trimming import MARK, trimmed_text
from components.curation.tables.reasons import DUPLICATE_PASSAGES
from components.ports import InProcessShardEngine
from tests.components.curation.conftest import config, documents, prose, rows, run, source, write_jsonl
from tests.components.curation.duplicates.test_deduplication_proof import PoolEngine

pytestmark = pytest.mark.long

BOTH = ("line", "substring")
SMALL: dict[str, Any] = {"min_line_words": 2, "max_line_documents": 1, "min_substring_words": 3, "min_characters": 1}
WORD = re.compile(r"[知識]|[^\s知識]+")
Position = tuple[int, int]
"""A document number and a word index."""


def identity(number: int) -> str:
    return hashlib.sha256(str(number).encode()).hexdigest()


def tables_of(texts: Sequence[str], directory: Path, shards: int, order: int) -> list[TextShard]:
    """Shards of texts, in order or reversed, with quality by id, and verdicts that keep all documents."""
    directory.mkdir(parents=True)
    quality = {document: 1 - rank / 1000 for rank, document in enumerate(sorted(range(len(texts)), key=identity))}
    paths = []
    for number in range(shards):
        own = range(number, len(texts), shards)
        columns = {
            "document": [(number << 32) + row for row in range(len(own))],
            "id": [identity(document) for document in own],
            "group": [""] * len(own),
            "source": [f"source-{document % 2}" for document in own],
            "domain": ["web"] * len(own),
            "language": ["en"] * len(own),
            "quality": pa.array([quality[document] for document in own], pa.float32()),
            "text": [texts[document] for document in own],
        }
        paths.append(directory / f"texts-{number}.parquet")
        pq.write_table(pa.table(columns), paths[-1])
    listed = text_shards(paths[::order], directory)
    for shard in listed:
        interim.write(shard.verdicts, tables.VERDICTS.empty_table())
    return listed


def search(
    texts: Sequence[str], directory: Path, shards: int = 2, engine: Any = None, order: int = 1, **fields: Any
) -> tuple[dict[str, tuple[str, str]], dict[str, bytes]]:
    """The trimmed documents with their reasons, by id, and the bytes of the evidence."""
    listed = tables_of(texts, directory / "texts", shards, order)
    engine = engine or InProcessShardEngine()
    chosen = config(source("a"), **{"kinds": BOTH, **fields})
    passages = find_passages(
        listed,
        chosen.passages,
        directory / "scratch",
        engine,
        memory=chosen.shard_bytes,
        min_characters=chosen.filtering.min_characters,
    )
    write_passages(passages, directory, directory / "records", engine)
    ids = {row["document"]: row["id"] for shard in listed for row in rows(shard.texts)}
    trimmed = [row for shard in listed if shard.trimmed for row in rows(shard.trimmed)]
    remaining = {ids[row["document"]]: (row["text"], row["reason"]) for row in trimmed}
    return remaining, {
        path.name: path.read_bytes() for path in (directory / "passages.parquet", directory / "metrics/passages.parquet")
    }


@dataclass(frozen=True)
class Lost:
    """A passage that is trimmed from a document, and the position where it is kept."""

    position: Position
    words: int
    kept: Position

    def positions(self, of: Position) -> set[Position]:
        """The positions of the passage's words at one of its two occurrences."""
        return {(of[0], of[1] + step) for step in range(self.words)}


def lost(texts: Sequence[str], kinds: Sequence[str], chosen: PassagesConfig) -> list[Lost]:
    """What is trimmed if no document is too short, by an exhaustive search."""
    ranked = sorted(range(len(texts)), key=identity)
    words = [WORD.findall(text) for text in texts]
    gone: list[Lost] = []
    if "line" in kinds:
        lines: dict[tuple[str, ...], list[Position]] = {}
        for number in ranked:
            position = 0
            for line in texts[number].split("\n"):
                own = tuple(WORD.findall(line))
                lines.setdefault(own, []).append((number, position))
                position += len(own)
        for own, positions in lines.items():
            if len(own) >= chosen.min_line_words and len({n for n, _ in positions}) > chosen.max_line_documents:
                gone += [Lost(position, len(own), positions[0]) for position in positions if position[0] != positions[0][0]]
    if "substring" in kinds:
        size = chosen.min_substring_words
        seen: dict[tuple[str, ...], Position] = {}
        for number in ranked:
            for position in range(len(words[number]) - size + 1):
                own = tuple(words[number][position : position + size])
                if own in seen:
                    gone.append(Lost((number, position), size, seen[own]))
                seen.setdefault(own, (number, position))
    return gone


def cut(text: str, gone: set[int]) -> str:
    """The text without some of its words."""
    starts = [len(text[: match.start()].encode()) for match in WORD.finditer(text)]
    ends = [len(text[: match.end()].encode()) for match in WORD.finditer(text)]
    passages: list[tuple[int, int]] = []
    for word in sorted(gone):
        if passages and word - 1 in gone:
            passages[-1] = passages[-1][0], ends[word]
        else:
            passages.append((starts[word], ends[word]))
    return trimmed_text(text.encode(), passages) if passages else text


def settled(texts: Sequence[str], passages: Sequence[Lost], min_characters: int) -> tuple[list[Lost], set[int]]:
    """The trimmed passages, and the documents removed for being short; those that keep passages stay, with these whole."""
    kept = {position for passage in passages for position in passage.positions(passage.kept)}
    gone = {position for passage in passages for position in passage.positions(passage.position)}
    short, stay = set(), list(passages)
    for number in sorted({passage.position[0] for passage in passages}):
        if len(cut(texts[number], {word for n, word in gone if n == number}).strip()) < min_characters:
            if any(n == number for n, _ in kept):
                stay = [
                    passage
                    for passage in stay
                    if passage.position[0] != number or kept.isdisjoint(passage.positions(passage.position))
                ]
            else:
                short.add(number)
    return stay, short


WORDS = st.sampled_from(["a", "b", "知", "cc"])
LINES = st.lists(WORDS, max_size=6).map(" ".join)
CORPORA = st.lists(st.lists(LINES, min_size=1, max_size=4).map(lambda lines: "\n".join(lines) + "\n"), min_size=1, max_size=7)


@pytest.mark.parametrize("kinds", [("line",), ("substring",), BOTH])
@given(
    texts=CORPORA,
    shards=st.integers(1, 3),
    shard_bytes=st.sampled_from([500, 10**9]),
    min_characters=st.sampled_from([1, 4, 8, 16]),
    order=st.sampled_from([1, -1]),
)
@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_goes_is_what_an_exhaustive_search_finds_and_stands_in_a_document_that_stays(
    kinds: Sequence[str],
    texts: list[str],
    shards: int,
    shard_bytes: int,
    min_characters: int,
    order: int,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    directory = tmp_path_factory.mktemp("search")
    fields = {**SMALL, "min_characters": min_characters}
    remaining, _ = search(texts, directory, shards, order=order, kinds=tuple(kinds), shard_bytes=shard_bytes, **fields)
    passages, short = settled(texts, lost(texts, kinds, config(source("a"), **fields).passages), min_characters)
    gone = {position for passage in passages for position in passage.positions(passage.position)}
    for number, text in enumerate(texts):
        stay = [word for position, word in enumerate(WORD.findall(text)) if (number, position) not in gone]
        now, reason = remaining.get(identity(number), (text, ""))
        assert "".join(now.split()) == "".join(stay)
        assert (identity(number) in remaining) == any(number == document for document, _ in gone)
        assert (reason == DUPLICATE_PASSAGES) == (number in short)
    numbers = {identity(number): number for number in range(len(texts))}
    shown: dict[Position, Position] = {}
    for row in rows(directory / "passages.parquet"):
        number, kept = numbers[row["id"]], numbers[row["kept"]]
        raw, other = texts[number].encode(), texts[kept].encode()
        passage = raw[row["start"] : row["end"]].decode()
        words = WORD.findall(passage)
        assert words == WORD.findall(other[row["kept_start"] : row["kept_end"]].decode())
        assert (row["kept"], row["kept_start"]) < (row["id"], row["start"])
        assert passage.startswith(row["text"])
        assert kept not in short
        first = len(WORD.findall(raw[: row["start"]].decode()))
        first_kept = len(WORD.findall(other[: row["kept_start"]].decode()))
        shown |= {(number, first + step): (kept, first_kept + step) for step in range(len(words))}
    assert shown.keys() == gone
    for position in gone:
        while position in shown:
            position = shown[position]
        assert position[0] not in short


def han(seed: int, size: int) -> str:
    """A sequence of Han characters, each of which is a word."""
    return "".join(chr(0x4E00 + (seed * 7919 + i * i * 31 + i * 17) % 20_000) for i in range(size))


def by_rank(texts: Sequence[str]) -> list[str]:
    """Order texts such that their ids rank them in the order given."""
    ranked = sorted(range(len(texts)), key=identity)
    return [texts[ranked.index(number)] + "\n" for number in range(len(texts))]


def test_a_short_document_stays_where_it_keeps_a_passage_of_another(tmp_path: Path) -> None:
    passage, other, own = (han(seed, size) for seed, size in ((1, 60), (2, 300), (3, 200)))
    texts = by_rank([other, passage + other, passage + own])
    remaining, _ = search(texts, tmp_path, 1, kinds=("substring",), min_characters=100)
    first, short, last = (identity(texts.index(text + "\n")) for text in (other, passage + other, passage + own))
    assert remaining == {short: (passage + "\n", ""), last: (own + "\n", "")}
    assert {row["kept"] for row in rows(tmp_path / "passages.parquet")} == {first, short}


def test_what_a_short_document_keeps_stays_whole_where_others_hold_some_of_it(tmp_path: Path) -> None:
    text = han(1, 100)
    ranked = [text[:60] + han(2, 200), text[40:] + han(3, 200), text, text[15:65] + han(4, 200)]
    texts = by_rank(ranked)
    remaining, _ = search(texts, tmp_path, 2, kinds=("substring",), min_characters=100)
    # The fourth's passage is first in the third, which loses nothing for it: neither of the others has it whole.
    assert remaining == {identity(texts.index(ranked[3] + "\n")): (han(4, 200) + "\n", "")}
    assert {row["kept"] for row in rows(tmp_path / "passages.parquet")} == {identity(texts.index(text + "\n"))}


def planted() -> list[str]:
    """Documents that share boilerplate lines and long spans, English and Chinese."""
    notice = "This page was last edited by one of the volunteers who look after the archive of the town."
    chinese = "本站文章未经许可不得转载违者必究请联系管理员取得授权。"
    span = prose(900, 60)
    texts = []
    for number in range(40):
        paragraphs = [prose(number, 40), notice, prose(number + 100, 40)]
        paragraphs += [chinese] if number % 2 else []
        paragraphs[2] += f" {span} " + prose(number + 200, 20) if number % 5 == 0 else ""
        texts.append("\n\n".join(paragraphs) + "\n")
    return texts


def test_the_bytes_are_the_same_for_any_number_of_workers_and_any_order_of_shards(tmp_path: Path) -> None:
    texts, fields = planted(), {"shard_bytes": 60_000}
    remaining, evidence = search(texts, tmp_path / "here", 3, **fields)
    assert len(remaining) == 39
    counted = rows(tmp_path / "here/metrics/passages.parquet")
    # The span occurs in 8 documents, the notice in 40 and the Chinese line in 20; each is kept once.
    assert sum(row["substrings"] for row in counted) == 7
    assert sum(row["lines"] for row in counted) == 39 + 19
    for workers in (1, 2, 4):
        engine = PoolEngine(workers=workers)
        with engine.pool:
            assert search(texts, tmp_path / f"pool-{workers}", 3, engine, **fields) == (remaining, evidence)
    assert search(texts, tmp_path / "back", 3, order=-1, **fields) == (remaining, evidence)
    assert search(texts, tmp_path / "small", 5, shard_bytes=5_000) == (remaining, evidence)


def curated(tmp_path: Path, **fields: Any) -> list[str]:
    """The texts of a corpus of two sources of planted documents."""
    texts = planted()
    write_jsonl(tmp_path / "a.jsonl", texts[:20])
    write_jsonl(tmp_path / "b.jsonl", texts[20:])
    fields = {"kinds": BOTH, "shard_bytes": 20_000, **fields}
    run(config(source(tmp_path / "a.jsonl"), source(tmp_path / "b.jsonl", "web"), **fields), tmp_path)
    return [row["text"] for row in documents(tmp_path)]


def test_boilerplate_stays_once_in_a_corpus_of_two_sources_that_adds_up(tmp_path: Path) -> None:
    texts = curated(tmp_path)
    together = "".join(texts)
    assert len(texts) == 40
    assert (together.count("This page was last edited"), together.count("违者必究"), together.count(prose(900, 60))) == (1, 1, 1)
    counted = {row["source"]: row for row in rows(tmp_path / "corpus/metrics/passages.parquet")}
    for row in rows(tmp_path / "corpus/metrics/sources.parquet"):
        own = counted[row["source"]]
        assert row["duplicate_bytes"] == own["bytes"] == row["bytes"] - row["kept_bytes"] > 0
        texts_of = planted()[:20] if row["domain"] == "prose" else planted()[20:]
        assert row["bytes"] == sum(len(text.encode()) for text in texts_of)
    assert sum(own["documents"] for own in counted.values()) == 39
    listed = {row["id"]: row for row in rows(tmp_path / "corpus/metrics/documents.parquet")}
    for row in documents(tmp_path):
        assert row["bytes"] == listed[row["id"]]["bytes"] == len(row["text"].encode())
        assert listed[row["id"]]["characters"] == len(row["text"])


def test_a_mark_stands_where_passages_were_masked(tmp_path: Path) -> None:
    together = "".join(curated(tmp_path, action="mask"))
    assert together.count(MARK) == 39 + 19 + 7
    assert together.count("This page was last edited") == 1


def test_nothing_is_looked_for_unless_asked(tmp_path: Path) -> None:
    assert "".join(curated(tmp_path, kinds=())).count("This page was last edited") == 40
    assert rows(tmp_path / "corpus/passages.parquet") == []


@pytest.mark.parametrize(("in_code", "licences"), [(False, 9), (True, 1)])
def test_code_keeps_its_licence_headers_unless_told(in_code: bool, licences: int, tmp_path: Path) -> None:
    header = "# Licensed under the terms of the licence that you find beside this file and nowhere else.\n"
    own = [f"{header}\n\ndef function_{number}(argument):\n    return '{prose(number, 30)}'\n" for number in range(9)]
    write_jsonl(tmp_path / "a.jsonl", own)
    fields = {"kinds": BOTH, "in_code": in_code}
    run(config(source(tmp_path / "a.jsonl", "code", language="code"), **fields), tmp_path)
    assert sum(header.strip() in row["text"] for row in documents(tmp_path)) == licences


def test_a_document_of_which_too_little_is_left_goes_and_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # so that ids, which decide what stays, are the same every time
    spans = [prose(900 + number, 60) for number in range(4)]
    own = [f"{spans[n % 4]} {prose(n, 60)}\n" for n in range(20)] + [f"too little {n}\n{spans[n]}\n" for n in range(4)]
    write_jsonl(tmp_path / "a.jsonl", own)
    figures = run(config(source("a.jsonl"), kinds=("substring",)), tmp_path)
    gone = [row for row in rows(tmp_path / "corpus/metrics/documents.parquet") if row["reason"] == DUPLICATE_PASSAGES]
    assert figures["not_kept"] == {DUPLICATE_PASSAGES: len(gone)}
    assert len(gone) > 1
    (counts,) = rows(tmp_path / "corpus/metrics/sources.parquet")
    assert (counts["duplicate_documents"], counts["bytes"]) == (len(gone), sum(len(text.encode()) for text in own))
    assert counts["kept_bytes"] + counts["duplicate_bytes"] == counts["bytes"]
    evidence = rows(tmp_path / "corpus/passages.parquet")
    assert {row["id"] for row in gone} <= {row["id"] for row in evidence}
    assert {row["kept"] for row in evidence} <= {row["id"] for row in documents(tmp_path)}
    assert all("".join(row["text"] for row in documents(tmp_path)).count(span) == 1 for span in spans)


def test_what_deduplication_removed_keeps_no_passage(tmp_path: Path) -> None:
    text = prose(1, 300)
    write_jsonl(tmp_path / "a.jsonl", [text, text + "\n\nand again", prose(2)])
    run(config(source(tmp_path / "a.jsonl"), kinds=("substring",)), tmp_path)
    assert rows(tmp_path / "corpus/passages.parquet") == []
    assert sum(text in row["text"] for row in documents(tmp_path)) == 1

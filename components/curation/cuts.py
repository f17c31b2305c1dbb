"""Repeated passages taken out of the documents that do not keep them."""

import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from components.curation import tables
from components.curation.candidates import starts
from components.curation.config import CurationConfig
from components.curation.normalise import normalise
from components.curation.passages import NEWLINE, Units, lines_of, runs_of
from components.curation.repeats import Texts, places_in, texts_of
from components.curation.sketches import Part
from components.curation.tables import columns
from components.machine_code import Hashes, Numbers
from components.ports import interim

DUPLICATE_PASSAGES = "duplicate-passages"
"""Why a document goes of which repeated passages leave less than `min_characters`."""

LINE, SUBSTRING = "line", "substring"
"""Kinds of passages."""

MARK = "<REPEATED>"
"""What stands for a masked passage."""

TRIMMED = pa.schema(
    {
        "document": pa.int64(),
        "text": pa.string(),
        "bytes": pa.int64(),
        "characters": pa.int64(),
        "cut": pa.int64(),
        "reason": pa.string(),
    }
)
"""A document that lost passages: what is left of it, the bytes that went, and the reason if it goes altogether."""

CUTS = pa.schema(
    {
        "kept_part": pa.int64(),
        "kept": pa.int64(),
        "kept_word": pa.int64(),
        "words": pa.int64(),
        "id": pa.string(),
        "kind": pa.string(),
        "start": pa.int64(),
        "end": pa.int64(),
        "text": pa.string(),
    }
)
"""A passage that a document lost, in bytes of its text, and the words that keep it."""

EXCERPT = 200
"""Bytes of a passage that the evidence shows."""

Counts = Counter[tuple[str, str, str]]
"""Of (source, domain, column of `tables.PASSAGE_COUNTS`)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Trimmed:
    """What a part lost."""

    texts: Path
    """`TRIMMED`, in the order of documents."""
    cuts: Path
    """`CUTS`."""
    counts: Counts


@dataclass(frozen=True, kw_only=True, slots=True)
class Repeated:
    """The passages of a part that are repeated, sorted by key."""

    key: Hashes
    check: Hashes
    kept: Numbers
    kept_word: Numbers
    kept_part: Numbers

    @classmethod
    def read(cls, path: Path) -> "Repeated":
        """From one partition of `repeats.REPEATED`."""
        names = ("key", "check", "kept", "kept_word", "kept_part")
        return cls(**dict(zip(names, columns(interim.read(path), *names), strict=True)))

    def places(self, units: Units) -> tuple[Numbers, Numbers]:
        """Which of the units are repeated, and the rows here that say so."""
        rows = places_in(self.key, units.key)
        if not len(self.key):
            return rows[:0], rows[:0]
        found = np.flatnonzero((rows >= 0) & (self.check[rows] == units.check))
        return found, rows[found]


@dataclass(frozen=True, kw_only=True, slots=True)
class Lost:
    """Passages that some texts lose; int64 [passages] each."""

    kind: str
    text: Numbers
    begin: Numbers
    """In bytes of the text."""
    end: Numbers
    words: Numbers
    kept: Numbers
    kept_word: Numbers
    kept_part: Numbers


def trim(work: tuple[Part, Path, Path | None, Path | None], *, config: CurationConfig) -> Trimmed:
    """Take the repeated lines and runs out of a part where another document, or an earlier place of a run, keeps them."""
    part, verdicts, *repeated = work
    lines, runs = (Repeated.read(path) if path else None for path in repeated)
    made = Trimmed(texts=part.place / "trimmed.parquet", cuts=part.place / f"cuts{interim.SUFFIX}", counts=Counter())
    with tables.writer(made.texts, TRIMMED) as trimmed, interim.writer(made.cuts, CUTS) as cuts:
        for texts in texts_of(part, verdicts, config):
            lost = [_lost_lines(texts, lines, config)] if lines else []
            lost += [_lost_runs(texts, runs, config)] if runs else []
            for one in lost:
                cuts.write_table(_listed(texts, one))
            trimmed.write_table(_left(texts, lost, config, made.counts))
    return made


def _lost_lines(texts: Texts, lines: Repeated, config: CurationConfig) -> Lost:
    units = lines_of(texts.words, config.line_words)
    found, rows = lines.places(units)
    elsewhere = lines.kept[rows] != texts.document[units.text[found]]
    return _lost(LINE, texts, lines, units, found[elsewhere], rows[elsewhere], units.words[found[elsewhere]])


def _lost_runs(texts: Texts, runs: Repeated, config: CurationConfig) -> Lost:
    """Runs that follow each other word by word in both documents become one passage."""
    units, _ = runs_of(texts.words, config.substring_words)
    found, rows = runs.places(units)
    document, word = texts.document[units.text[found]], units.word[found]
    elsewhere = (runs.kept[rows] != document) | (runs.kept_word[rows] != word)
    found, rows, word = found[elsewhere], rows[elsewhere], word[elsewhere]
    step = np.arange(len(word))
    first = starts(units.text[found], word - step, runs.kept[rows], runs.kept_word[rows] - step)
    heads = np.flatnonzero(first)
    length = np.diff(np.append(heads, len(word))) + config.substring_words - 1
    return _lost(SUBSTRING, texts, runs, units, found[heads], rows[heads], length)


def _lost(kind: str, texts: Texts, repeated: Repeated, units: Units, found: Numbers, rows: Numbers, length: Numbers) -> Lost:
    text, words = units.text[found], texts.words
    at = words.first[text] + units.word[found]
    return Lost(
        kind=kind,
        text=text,
        begin=words.begins[at] - texts.offsets[text],
        end=words.ends[at + length - 1] - texts.offsets[text],
        words=length,
        kept=repeated.kept[rows],
        kept_word=repeated.kept_word[rows],
        kept_part=repeated.kept_part[rows],
    )


def _listed(texts: Texts, lost: Lost) -> pa.Table:
    base = texts.offsets[lost.text]
    excerpts = [
        texts.raw[start : min(end, start + EXCERPT)].tobytes().decode(errors="ignore")
        for start, end in zip((base + lost.begin).tolist(), (base + lost.end).tolist(), strict=True)
    ]
    identity = texts.rows["id"].take(pa.array(lost.text))
    kinds = pa.array([lost.kind] * len(lost.text), pa.string())
    values = [lost.kept_part, lost.kept, lost.kept_word, lost.words, identity, kinds, lost.begin, lost.end]
    return pa.table([*values, pa.array(excerpts, pa.string())], schema=CUTS)


def _left(texts: Texts, lost: Sequence[Lost], config: CurationConfig, counts: Counts) -> pa.Table:
    """`TRIMMED` of a slice; adds to the counts."""
    every: list[tuple[int, int, int, str]] = sorted(
        row
        for one in lost
        for row in zip(one.text.tolist(), one.begin.tolist(), one.end.tolist(), [one.kind] * len(one.text), strict=True)
    )
    rows = []
    for text, passages in itertools.groupby(every, key=lambda row: row[0]):
        found = list(passages)
        start, end = texts.offsets[text], texts.offsets[text + 1]
        row = _trimmed(texts.raw[start:end].tobytes(), [(begin, end) for _, begin, end, _ in found], config)
        rows.append({"document": texts.document[text], **row})
        named = texts.rows["source"][text].as_py(), texts.rows["domain"][text].as_py()
        counts[*named, "documents"] += 1
        counts[*named, "bytes"] += row["cut"]
        for *_, kind in found:
            counts[*named, f"{kind}s"] += 1
    return pa.Table.from_pylist(rows, TRIMMED)


def _trimmed(raw: bytes, passages: Sequence[tuple[int, int]], config: CurationConfig) -> dict[str, Any]:
    text = without(raw, passages, MARK if config.passage_action == "mask" else "")
    size = len(text.encode())
    gone = len(text.replace(MARK, "").strip()) < config.min_characters
    return {
        "text": text,
        "bytes": size,
        "characters": len(text),
        "cut": len(raw) - size,
        "reason": DUPLICATE_PASSAGES if gone else "",
    }


def with_left(texts: pa.Table, trimmed: pa.Table) -> pa.Table:
    """`tables.TEXTS` with the texts and sizes of what `TRIMMED` says is left."""
    if not trimmed.num_rows:
        return texts
    listed, document = trimmed["document"].to_numpy(), texts["document"].to_numpy()
    place = np.minimum(np.searchsorted(listed, document), len(listed) - 1)
    hit = pa.array(listed[place] == document)
    for name in ("text", "bytes"):
        left = pc.if_else(hit, trimmed[name].take(pa.array(place)), texts[name])
        texts = texts.set_column(texts.column_names.index(name), name, left)
    return texts


def without(raw: bytes, passages: Sequence[tuple[int, int]], mark: str = "") -> str:
    """A normalised UTF-8 text without passages, sorted (start, end) in bytes that may overlap, or with a mark for each."""
    left, place = [], 0
    for start, end in _apart(passages):
        cut = (start, end) if mark else _widened(raw, start, end)
        left += [raw[place : cut[0]], mark.encode()]
        place = max(place, cut[1])
    return normalise(b"".join([*left, raw[place:]]).decode())


def _apart(passages: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """The union, as passages that do not touch."""
    start, end = passages[0]
    for begin, stop in passages[1:]:
        if begin > end:
            yield start, end
            start, end = begin, stop
        end = max(end, stop)
    yield start, end


def _widened(raw: bytes, start: int, end: int) -> tuple[int, int]:
    """A passage with the white space that must go with it: of the gaps on both sides the wider one stays."""
    before, after = _back(raw, start, b" \t"), _ahead(raw, end, b" \t")
    opens, closes = before == 0 or raw[before - 1] == NEWLINE, after == len(raw) or raw[after] == NEWLINE
    if opens and closes:
        breaks = before - _back(raw, before, b"\n"), _ahead(raw, after, b"\n") - after
        return before, after + (min(breaks) if before else breaks[1])
    if closes:
        return before, end
    return start, after if opens or before < start else end


def _back(raw: bytes, place: int, blanks: bytes) -> int:
    while place and raw[place - 1] in blanks:
        place -= 1
    return place


def _ahead(raw: bytes, place: int, blanks: bytes) -> int:
    while place < len(raw) and raw[place] in blanks:
        place += 1
    return place

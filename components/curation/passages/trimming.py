"""Repeated passages taken out of the documents that do not keep them."""

import itertools
import operator
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from components import interim
from components.curation import tables
from components.curation.config import CurationConfig
from components.curation.duplicates.sketches import TextShard
from components.curation.passages.passage_hashes import NEWLINE, Units, lines_of, runs_of
from components.curation.passages.repeated_passages import Texts, places_in, texts_of
from components.curation.tables import TRIMMED, columns
from components.curation.tables.reasons import DUPLICATE_PASSAGES
from components.curation.tables.sorting import starts
from components.curation.text.normalise import normalise
from components.machine_code import Hashes, Numbers

LINE, SUBSTRING = "line", "substring"
"""Kinds of passages."""

MARK = "<REPEATED>"
"""What stands for a masked passage."""


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


Truths = npt.NDArray[np.bool_]


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
class Found:
    """The repeated passages of some texts, in their order; int64 [passages] each."""

    kind: str
    repeated: Repeated
    text: Numbers
    word: Numbers
    """The first word, counted in its text."""
    words: Numbers
    rows: Numbers
    """Of `repeated`, which say what keeps it."""
    elsewhere: Truths
    """Whether another document, or an earlier place of a run, keeps it, bool [passages]."""
    here: Truths
    """Whether this place keeps it for others, bool [passages]."""


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


Left = dict[int, dict[str, Any]]
"""Rows of `TRIMMED` by the number of the text in its slice."""


def trim(work: tuple[TextShard, Path, Path | None, Path | None], *, config: CurationConfig) -> Trimmed:
    """Take the repeated lines and runs out of a part where another document, or an earlier place of a run, keeps them.

    A document of which too little is left goes, unless it keeps a passage itself: it stays then, and keeps that whole.
    """
    shard, verdicts, *repeated = work
    lines, runs = (Repeated.read(path) if path else None for path in repeated)
    made = Trimmed(texts=shard.directory / "trimmed.parquet", cuts=shard.directory / f"cuts{interim.SUFFIX}", counts=Counter())
    with tables.writer(made.texts, TRIMMED) as trimmed, interim.writer(made.cuts, CUTS) as cuts:
        for texts in texts_of(shard, verdicts, config):
            found = [_found(LINE, texts, lines, lines_of(texts.words, config.min_line_words))] if lines else []
            found += [_found(SUBSTRING, texts, runs, runs_of(texts.words, config.min_substring_words)[0])] if runs else []
            lost, left = _settled(texts, found, config)
            for one in lost:
                cuts.write_table(_listed(texts, one))
            trimmed.write_table(pa.Table.from_pylist([left[text] for text in sorted(left)], TRIMMED))
            _count(made.counts, texts, lost, left)
    return made


def _found(kind: str, texts: Texts, repeated: Repeated, units: Units) -> Found:
    found, rows = repeated.places(units)
    text, word = units.text[found], units.word[found]
    own = repeated.kept[rows] == texts.document[text]
    here = own & (repeated.kept_word[rows] == word)
    elsewhere = ~own if kind == LINE else ~here
    words = units.words[found]
    return Found(kind=kind, repeated=repeated, text=text, word=word, words=words, rows=rows, elsewhere=elsewhere, here=here)


def _settled(texts: Texts, found: Sequence[Found], config: CurationConfig) -> tuple[list[Lost], Left]:
    """What is lost, and what is left.

    No document that keeps a passage goes, so every word that is lost stands in a document that stays: either at the place that
    keeps it, or, where that loses it too, at the place that keeps it for that one, which is always an earlier one.
    """
    lost = [_lost(texts, one) for one in found]
    left = _left(texts, lost, config)
    keepers = {text for one in found for text in np.unique(one.text[one.here]).tolist()}
    spared = sorted(text for text in keepers & left.keys() if left[text]["reason"])
    if not spared:
        return lost, left
    lost = [_lost(texts, one) for one in _sparing(texts, found, spared)]
    again = _left(texts, lost, config, only=frozenset(spared))
    others = {text: row for text, row in left.items() if text not in spared}
    return lost, others | {text: {**row, "reason": ""} for text, row in again.items()}


def _sparing(texts: Texts, found: Sequence[Found], spared: Sequence[int]) -> list[Found]:
    """Without the losses of the spared texts that touch a passage which these keep."""
    kept = np.zeros(len(texts.words.hashes) + 1, dtype=np.int64)
    for one in found:
        here = one.here & np.isin(one.text, spared)
        begin, end = _bounds(texts, one)
        np.add.at(kept, begin[here], 1)
        np.add.at(kept, end[here], -1)
    before = np.append(0, np.cumsum(np.cumsum(kept) > 0))
    stay = []
    for one in found:
        begin, end = _bounds(texts, one)
        stay.append(replace(one, elsewhere=one.elsewhere & (before[begin] == before[end])))
    return stay


def _bounds(texts: Texts, found: Found) -> tuple[Numbers, Numbers]:
    """The first word of each passage and the one after its last, among those of all texts."""
    begin = texts.words.first[found.text] + found.word
    return begin, begin + found.words


def _lost(texts: Texts, found: Found) -> Lost:
    """What is elsewhere; runs that follow each other word by word in both documents become one passage."""
    rows = np.flatnonzero(found.elsewhere)
    text, word, words, source = found.text[rows], found.word[rows], found.words[rows], found.rows[rows]
    repeated = found.repeated
    kept, kept_word, kept_part = (column[source] for column in (repeated.kept, repeated.kept_word, repeated.kept_part))
    if found.kind == SUBSTRING:
        step = np.arange(len(rows))
        heads = np.flatnonzero(starts(text, word - step, kept, kept_word - step))
        length = words[heads] + np.diff(np.append(heads, len(rows))) - 1
        text, word, kept, kept_word, kept_part = (column[heads] for column in (text, word, kept, kept_word, kept_part))
    else:
        length = words
    at = texts.words.first[text] + word
    return Lost(
        kind=found.kind,
        text=text,
        begin=texts.words.begins[at] - texts.offsets[text],
        end=texts.words.ends[at + length - 1] - texts.offsets[text],
        words=length,
        kept=kept,
        kept_word=kept_word,
        kept_part=kept_part,
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


def _left(texts: Texts, lost: Sequence[Lost], config: CurationConfig, only: frozenset[int] | None = None) -> Left:
    """What is left of the texts that lose something, or only of some of these."""
    every = sorted(row for one in lost for row in zip(one.text.tolist(), one.begin.tolist(), one.end.tolist(), strict=True))
    left: Left = {}
    for text, passages in itertools.groupby(every, key=operator.itemgetter(0)):
        if only is None or text in only:
            start, end = texts.offsets[text], texts.offsets[text + 1]
            row = _trimmed(texts.raw[start:end].tobytes(), [(begin, stop) for _, begin, stop in passages], config)
            left[text] = {"document": texts.document[text], **row}
    return left


def _count(counts: Counts, texts: Texts, lost: Sequence[Lost], left: Left) -> None:
    named = list(zip(texts.rows["source"].to_pylist(), texts.rows["domain"].to_pylist(), strict=True))
    for text, row in left.items():
        counts[*named[text], "documents"] += 1
        counts[*named[text], "bytes"] += row["cut"]
    for one in lost:
        for text in one.text.tolist():
            counts[*named[text], f"{one.kind}s"] += 1


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

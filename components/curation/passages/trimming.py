"""Trims repeated passages from the documents of a shard that do not keep them."""

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
from components.curation.duplicates.sketches import TextShard
from components.curation.passages.config import PassagesConfig
from components.curation.passages.passage_hashes import NEWLINE, Passages, lines_of, runs_of
from components.curation.passages.repeated_passages import Texts, indices_in, texts_of
from components.curation.tables import TRIMMED, columns
from components.curation.tables.reasons import DUPLICATE_PASSAGES
from components.curation.tables.sorting import starts
from components.curation.text.normalise import normalise
from components.machine_code import Hashes, Numbers

LINE, SUBSTRING = "line", "substring"
"""The kinds of passages."""

MARK = "<REPEATED>"
"""Replaces a masked passage."""

TRIMMED_PASSAGES = pa.schema(
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
"""A passage trimmed from a document (`start` and `end` in bytes of the document's original text), and the position of the kept
occurrence: shard, document and first word."""

EXCERPT = 200
"""Bytes of a passage that the evidence shows."""

Counts = Counter[tuple[str, str, str]]
"""Counts by (source, domain, column of `tables.PASSAGE_COUNTS`)."""

Truths = npt.NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True, slots=True)
class TrimmedShard:
    """The passages trimmed from a shard; the trimmed documents are in `TextShard.trimmed`."""

    passages: Path
    """Path of the `TRIMMED_PASSAGES`."""
    counts: Counts


@dataclass(frozen=True, kw_only=True, slots=True)
class RepeatedPassages:
    """The repeated passages of a shard, each with the position of its kept occurrence, sorted by key."""

    key: Hashes
    check: Hashes
    kept: Numbers
    """Number of the document with the kept occurrence, int64 [passages]."""
    kept_word: Numbers
    """Index of the kept occurrence's first word in that document, int64 [passages]."""
    kept_shard: Numbers
    """Number of the text shard with that document, int64 [passages]."""

    @classmethod
    def read(cls, path: Path) -> "RepeatedPassages":
        """Read one partition of `repeated_passages.REPEATED`."""
        key, check, kept, word, shard = columns(interim.read(path), "key", "check", "kept", "kept_word", "kept_part")
        return cls(key=key, check=check, kept=kept, kept_word=word, kept_shard=shard)

    def matches(self, passages: Passages) -> tuple[Numbers, Numbers]:
        """The indices of the passages that are repeated, and the matching rows of this table."""
        rows = indices_in(self.key, passages.key)
        if not len(self.key):
            return rows[:0], rows[:0]
        repeated = np.flatnonzero((rows >= 0) & (self.check[rows] == passages.check))
        return repeated, rows[repeated]


@dataclass(frozen=True, kw_only=True, slots=True)
class Occurrences:
    """Occurrences of repeated passages in a chunk of texts, in order; int64 [occurrences] each."""

    kind: str
    repeated: RepeatedPassages
    text: Numbers
    """Number of the text in the chunk."""
    word: Numbers
    """Index of the first word within its text."""
    words: Numbers
    """Number of words."""
    rows: Numbers
    """Row of `repeated` for each occurrence."""
    kept_elsewhere: Truths
    """Whether the passage is kept in another document or, for a run, at an earlier position; bool [occurrences]."""
    kept_here: Truths
    """Whether this is the occurrence that is kept; bool [occurrences]."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TrimmedPassages:
    """Passages to trim from a chunk of texts; int64 [passages] each."""

    kind: str
    text: Numbers
    """Number of the text in the chunk."""
    start: Numbers
    """Byte offset of the start within the text."""
    end: Numbers
    """Byte offset of the end within the text."""
    words: Numbers
    """Number of words."""
    kept: Numbers
    """Number of the document that keeps the passage."""
    kept_word: Numbers
    """Index of the passage's first word in that document."""
    kept_shard: Numbers
    """Number of the text shard with that document."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Rule:
    """How passages are replaced, and when too little of a text remains."""

    mark: str
    """Replaces each passage; may be empty."""
    min_characters: int
    """Minimum characters that must remain of a text, not counting marks."""


TrimmedTexts = dict[int, dict[str, Any]]
"""Rows of `TRIMMED`, by the number of the text in its chunk."""


def trim(work: tuple[TextShard, Path | None, Path | None], *, config: PassagesConfig, min_characters: int) -> TrimmedShard:
    """Trim the repeated lines and runs of a shard that are kept elsewhere.

    A document that is trimmed to fewer than `min_characters` characters is removed, unless it keeps a passage for others: then it
    stays, with that passage whole. `work` is the shard and the paths of its repeated lines and runs, if they were searched for.
    """
    shard, *repeated = work
    rule = _Rule(mark=MARK if config.action == "mask" else "", min_characters=min_characters)
    lines, runs = (RepeatedPassages.read(path) if path else None for path in repeated)
    trimmed = TrimmedShard(
        passages=shard.directory / f"trimmed-passages{interim.SUFFIX}",
        counts=Counter(),
    )
    with tables.writer(shard.trimmed_path, TRIMMED) as text_writer, interim.writer(trimmed.passages, TRIMMED_PASSAGES) as writer:
        for texts in texts_of(shard, config):
            occurrences = []
            if lines:
                occurrences.append(_occurrences(LINE, texts, lines, lines_of(texts.words, config.min_line_words)))
            if runs:
                occurrences.append(_occurrences(SUBSTRING, texts, runs, runs_of(texts.words, config.min_substring_words)[0]))
            passages, rows = _trim_texts(texts, occurrences, rule)
            for own in passages:
                writer.write_table(_evidence(texts, own))
            text_writer.write_table(pa.Table.from_pylist([rows[text] for text in sorted(rows)], TRIMMED))
            _count(trimmed.counts, texts, passages, rows)
    return trimmed


def _occurrences(kind: str, texts: Texts, repeated: RepeatedPassages, passages: Passages) -> Occurrences:
    matches, rows = repeated.matches(passages)
    text, word = passages.text[matches], passages.word[matches]
    same_document = repeated.kept[rows] == texts.document[text]
    kept_here = same_document & (repeated.kept_word[rows] == word)
    return Occurrences(
        kind=kind,
        repeated=repeated,
        text=text,
        word=word,
        words=passages.words[matches],
        rows=rows,
        kept_elsewhere=~same_document if kind == LINE else ~kept_here,
        kept_here=kept_here,
    )


def _trim_texts(texts: Texts, occurrences: Sequence[Occurrences], rule: _Rule) -> tuple[list[TrimmedPassages], TrimmedTexts]:
    """The passages to trim, and the trimmed texts.

    No document that keeps a passage is removed. So every trimmed word has a copy in a kept document: `kept` leads to an earlier
    occurrence, and if that is trimmed too, its own `kept` leads further.
    """
    # Trim every passage that is kept elsewhere.
    passages = [_passages(texts, own) for own in occurrences]
    rows = _texts(texts, passages, rule)
    keepers = {text for own in occurrences for text in np.unique(own.text[own.kept_here]).tolist()}
    spared = sorted(text for text in keepers & rows.keys() if rows[text]["reason"])
    if not spared:
        return passages, rows

    # Texts that would be removed but keep a passage: trim them again, without touching what they keep.
    passages = [_passages(texts, own) for own in _spare(texts, occurrences, spared)]
    again = _texts(texts, passages, rule, only=frozenset(spared))
    others = {text: row for text, row in rows.items() if text not in spared}
    return passages, others | {text: {**row, "reason": ""} for text, row in again.items()}


def _spare(texts: Texts, occurrences: Sequence[Occurrences], spared: Sequence[int]) -> list[Occurrences]:
    """A copy of the occurrences in which those that overlap a passage kept by a spared text are no longer `kept_elsewhere`."""
    kept = np.zeros(len(texts.words.hashes) + 1, dtype=np.int64)
    for own in occurrences:
        here = own.kept_here & np.isin(own.text, spared)
        start, end = _bounds(texts, own)
        np.add.at(kept, start[here], 1)
        np.add.at(kept, end[here], -1)
    kept_before = np.append(0, np.cumsum(np.cumsum(kept) > 0))
    changed = []
    for own in occurrences:
        start, end = _bounds(texts, own)
        changed.append(replace(own, kept_elsewhere=own.kept_elsewhere & (kept_before[start] == kept_before[end])))
    return changed


def _bounds(texts: Texts, occurrences: Occurrences) -> tuple[Numbers, Numbers]:
    """Start and end of each occurrence, as word indices over all texts of the chunk."""
    start = texts.words.first[occurrences.text] + occurrences.word
    return start, start + occurrences.words


def _passages(texts: Texts, occurrences: Occurrences) -> TrimmedPassages:
    """The occurrences that are kept elsewhere; runs that advance word by word in both documents are merged into one passage."""
    rows = np.flatnonzero(occurrences.kept_elsewhere)
    text, word, words = occurrences.text[rows], occurrences.word[rows], occurrences.words[rows]
    repeated, source = occurrences.repeated, occurrences.rows[rows]
    kept, kept_word, kept_shard = (column[source] for column in (repeated.kept, repeated.kept_word, repeated.kept_shard))
    if occurrences.kind == SUBSTRING:
        step = np.arange(len(rows))
        heads = np.flatnonzero(starts(text, word - step, kept, kept_word - step))
        words = words[heads] + np.diff(np.append(heads, len(rows))) - 1
        text, word, kept, kept_word, kept_shard = (column[heads] for column in (text, word, kept, kept_word, kept_shard))
    first = texts.words.first[text] + word
    return TrimmedPassages(
        kind=occurrences.kind,
        text=text,
        start=texts.words.starts[first] - texts.offsets[text],
        end=texts.words.ends[first + words - 1] - texts.offsets[text],
        words=words,
        kept=kept,
        kept_word=kept_word,
        kept_shard=kept_shard,
    )


def _evidence(texts: Texts, passages: TrimmedPassages) -> pa.Table:
    """The passages as `TRIMMED_PASSAGES`."""
    base = texts.offsets[passages.text]
    excerpts = [
        texts.raw[start : min(end, start + EXCERPT)].tobytes().decode(errors="ignore")
        for start, end in zip((base + passages.start).tolist(), (base + passages.end).tolist(), strict=True)
    ]
    identity = texts.rows["id"].take(pa.array(passages.text))
    kinds = pa.array([passages.kind] * len(passages.text), pa.string())
    keeper = [passages.kept_shard, passages.kept, passages.kept_word]
    values = [*keeper, passages.words, identity, kinds, passages.start, passages.end]
    return pa.table([*values, pa.array(excerpts, pa.string())], schema=TRIMMED_PASSAGES)


def _texts(texts: Texts, passages: Sequence[TrimmedPassages], rule: _Rule, only: frozenset[int] | None = None) -> TrimmedTexts:
    """The trimmed rows of the texts that have passages to trim, or only of those in `only`."""
    bounds = sorted(row for own in passages for row in zip(own.text.tolist(), own.start.tolist(), own.end.tolist(), strict=True))
    rows: TrimmedTexts = {}
    for text, own in itertools.groupby(bounds, key=operator.itemgetter(0)):
        if only is None or text in only:
            raw = texts.raw[texts.offsets[text] : texts.offsets[text + 1]].tobytes()
            row = _trimmed_row(raw, [(start, end) for _, start, end in own], rule)
            rows[text] = {"document": texts.document[text], **row}
    return rows


def _count(counts: Counts, texts: Texts, passages: Sequence[TrimmedPassages], rows: TrimmedTexts) -> None:
    sources = list(zip(texts.rows["source"].to_pylist(), texts.rows["domain"].to_pylist(), strict=True))
    for text, row in rows.items():
        counts[*sources[text], "documents"] += 1
        counts[*sources[text], "bytes"] += row["cut"]
    for own in passages:
        for text in own.text.tolist():
            counts[*sources[text], f"{own.kind}s"] += 1


def _trimmed_row(raw: bytes, passages: Sequence[tuple[int, int]], rule: _Rule) -> dict[str, Any]:
    text = trimmed_text(raw, passages, rule.mark)
    size = len(text.encode())
    too_short = len(text.replace(MARK, "").strip()) < rule.min_characters
    return {
        "text": text,
        "bytes": size,
        "characters": len(text),
        "cut": len(raw) - size,
        "reason": DUPLICATE_PASSAGES if too_short else "",
    }


def trimmed_text(raw: bytes, passages: Sequence[tuple[int, int]], mark: str = "") -> str:
    """The normalised text `raw` with each passage removed, or replaced by `mark`.

    `passages` are (start, end) in bytes, sorted; they may overlap.
    """
    remaining, position = [], 0
    for start, end in _merged(passages):
        if not mark:
            start, end = _with_white_space(raw, start, end)
        remaining += [raw[position:start], mark.encode()]
        position = max(position, end)
    return normalise(b"".join([*remaining, raw[position:]]).decode())


def _merged(passages: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Merge sorted passages that overlap or touch."""
    start, end = passages[0]
    for next_start, next_end in passages[1:]:
        if next_start > end:
            yield start, end
            start, end = next_start, next_end
        end = max(end, next_end)
    yield start, end


def _with_white_space(raw: bytes, start: int, end: int) -> tuple[int, int]:
    """Extend a passage by the white space to remove with it: of the gaps before and after the passage, the wider one stays."""
    before, after = _first_of(raw, start, b" \t"), _end_of(raw, end, b" \t")
    opens_line = before == 0 or raw[before - 1] == NEWLINE
    closes_line = after == len(raw) or raw[after] == NEWLINE
    if opens_line and closes_line:
        breaks = before - _first_of(raw, before, b"\n"), _end_of(raw, after, b"\n") - after
        return before, after + (min(breaks) if before else breaks[1])
    if closes_line:
        return before, end
    return start, after if opens_line or before < start else end


def _first_of(raw: bytes, position: int, blanks: bytes) -> int:
    """The start of the run of `blanks` that ends at a position."""
    while position and raw[position - 1] in blanks:
        position -= 1
    return position


def _end_of(raw: bytes, position: int, blanks: bytes) -> int:
    """The end of the run of `blanks` that starts at a position."""
    while position < len(raw) and raw[position] in blanks:
        position += 1
    return position

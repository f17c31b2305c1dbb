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
"""Kinds of passages."""

MARK = "<REPEATED>"
"""What replaces a masked passage."""

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
"""A passage taken out of a document, in bytes of its text, and the words that keep it."""

EXCERPT = 200
"""Bytes of a passage that the evidence shows."""

Counts = Counter[tuple[str, str, str]]
"""Of (source, domain, column of `tables.PASSAGE_COUNTS`)."""

Truths = npt.NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True, slots=True)
class TrimmedShard:
    """What was taken out of a shard; `TextShard.trimmed` has what is left."""

    passages: Path
    """`TRIMMED_PASSAGES`."""
    counts: Counts


@dataclass(frozen=True, kw_only=True, slots=True)
class RepeatedPassages:
    """The passages of a shard that are repeated and what keeps each, sorted by key."""

    key: Hashes
    check: Hashes
    kept: Numbers
    kept_word: Numbers
    kept_shard: Numbers

    @classmethod
    def read(cls, path: Path) -> "RepeatedPassages":
        """From one partition of `repeated_passages.REPEATED`."""
        key, check, kept, word, shard = columns(interim.read(path), "key", "check", "kept", "kept_word", "kept_part")
        return cls(key=key, check=check, kept=kept, kept_word=word, kept_shard=shard)

    def matches(self, passages: Passages) -> tuple[Numbers, Numbers]:
        """Which of the passages are repeated, and the rows here that say so."""
        rows = indices_in(self.key, passages.key)
        if not len(self.key):
            return rows[:0], rows[:0]
        repeated = np.flatnonzero((rows >= 0) & (self.check[rows] == passages.check))
        return repeated, rows[repeated]


@dataclass(frozen=True, kw_only=True, slots=True)
class Occurrences:
    """Occurrences of repeated passages in some texts, in their order; int64 [passages] each."""

    kind: str
    repeated: RepeatedPassages
    text: Numbers
    word: Numbers
    """The first word, counted in its text."""
    words: Numbers
    rows: Numbers
    """Of `repeated`, which say what keeps it."""
    kept_elsewhere: Truths
    """Whether another document, or an earlier occurrence of a run, keeps it, bool [passages]."""
    kept_here: Truths
    """Whether this occurrence is the one that is kept for others, bool [passages]."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TrimmedPassages:
    """Passages taken out of some texts; int64 [passages] each."""

    kind: str
    text: Numbers
    start: Numbers
    """In bytes of the text."""
    end: Numbers
    words: Numbers
    kept: Numbers
    kept_word: Numbers
    kept_shard: Numbers


@dataclass(frozen=True, kw_only=True, slots=True)
class _Rule:
    """What replaces a passage, and the characters that must remain of a text besides such marks."""

    mark: str
    min_characters: int


TrimmedTexts = dict[int, dict[str, Any]]
"""Rows of `TRIMMED` by the number of the text in its chunk."""


def trim(work: tuple[TextShard, Path | None, Path | None], *, config: PassagesConfig, min_characters: int) -> TrimmedShard:
    """Take the repeated lines and runs out of a shard where another document, or an earlier occurrence of a run, keeps them.

    A document of which less than `min_characters` remain is removed, unless it keeps a passage itself: then it is kept, and that
    passage whole.
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
    """The passages that are taken out, and the texts without them.

    No document that keeps a passage is removed. So every trimmed word has a copy in a kept document: follow `kept` to an earlier
    occurrence, and from there on if that one is trimmed too.
    """
    passages = [_passages(texts, own) for own in occurrences]
    rows = _texts(texts, passages, rule)
    keepers = {text for own in occurrences for text in np.unique(own.text[own.kept_here]).tolist()}
    spared = sorted(text for text in keepers & rows.keys() if rows[text]["reason"])
    if not spared:
        return passages, rows

    passages = [_passages(texts, own) for own in _spare(texts, occurrences, spared)]
    again = _texts(texts, passages, rule, only=frozenset(spared))
    others = {text: row for text, row in rows.items() if text not in spared}
    return passages, others | {text: {**row, "reason": ""} for text, row in again.items()}


def _spare(texts: Texts, occurrences: Sequence[Occurrences], spared: Sequence[int]) -> list[Occurrences]:
    """The occurrences, of which those that overlap a passage that a spared text keeps are not to be taken out of it."""
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
    """The first word of each passage and the one after its last, among those of all texts."""
    start = texts.words.first[occurrences.text] + occurrences.word
    return start, start + occurrences.words


def _passages(texts: Texts, occurrences: Occurrences) -> TrimmedPassages:
    """What is kept elsewhere; runs that follow each other word by word in both documents become one passage."""
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
    """`TRIMMED_PASSAGES`."""
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
    """The texts out of which something is taken, or only some of these."""
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
    """A normalised UTF-8 text without passages, sorted (start, end) in bytes that may overlap, or with a mark for each."""
    remaining, position = [], 0
    for start, end in _merged(passages):
        if not mark:
            start, end = _with_white_space(raw, start, end)
        remaining += [raw[position:start], mark.encode()]
        position = max(position, end)
    return normalise(b"".join([*remaining, raw[position:]]).decode())


def _merged(passages: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """The union, as passages that do not touch."""
    start, end = passages[0]
    for next_start, next_end in passages[1:]:
        if next_start > end:
            yield start, end
            start, end = next_start, next_end
        end = max(end, next_end)
    yield start, end


def _with_white_space(raw: bytes, start: int, end: int) -> tuple[int, int]:
    """A passage with the white space that is taken out too: of the gaps before and after it the wider one remains."""
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
    """Where the blanks before a position start."""
    while position and raw[position - 1] in blanks:
        position -= 1
    return position


def _end_of(raw: bytes, position: int, blanks: bytes) -> int:
    """Where the blanks from a position on end."""
    while position < len(raw) and raw[position] in blanks:
        position += 1
    return position

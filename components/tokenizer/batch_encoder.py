"""Many documents to ids at once, in one thread: the ids of `TextTokenizer`, without a Python object for a text or a piece.

Texts are cut into pieces in machine code. Most pieces occur again: their ids are kept; others are merged by a table of pairs.
Long pieces go to the library, whose time does not grow with the square of their length. With reading and
writing, a sixth of the library's processor time or less (`make bench-tokenizing`): about what tiktoken takes with neither.
"""

import secrets
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import tokenizers

from components.errors import SourceError
from components.hashing import GOLDEN_RATIO
from components.machine_code import Bytes, Numbers, compiled, mix
from components.tokenizer.cutting import Cutter
from components.tokenizer.merging import merge, merges_of
from components.tokenizer.pretokenization import byte_level, pre_tokenizer
from components.tokenizer.text_tokenizer import TextTokenizer

Ids = npt.NDArray[np.uint32]

LONGEST = 128
"""Bytes of a piece that is merged here and kept."""

KEPT = 1 << 18
"""Pieces that are kept; when there is no room for another one, all are forgotten: what a worker holds does not grow."""

KEPT_BYTES = 16 * KEPT
"""Bytes and ids of them."""

EMPTY = -1


class Known(NamedTuple):
    """Pieces with their ids, in a hash table of open addressing; a named tuple, as machine code takes those."""

    slots: npt.NDArray[np.int64]
    """The upper half of a piece's hash, and its number in the lower; [2 * KEPT], `EMPTY` where there is none."""
    words: npt.NDArray[np.uint64]
    """The first eight bytes of each piece, [KEPT]."""
    places: npt.NDArray[np.int32]
    """Of each piece: where its bytes begin, how many, where its ids begin, how many; [KEPT, 4]."""
    text: Bytes
    ids: Ids
    used: Numbers
    """Pieces, bytes and ids held, [3]."""
    seed: np.uint64
    """Of the hashes, another one in each process: nobody can write a text whose pieces all meet at one place."""


class Long(NamedTuple):
    """The ids of pieces that are longer than `LONGEST`, in their order."""

    ids: Ids
    counts: Numbers


class BatchEncoder:
    """Encodes documents with a tokenizer of our make. Control ids are put around texts, and never stand for what a text says."""

    def __init__(self, tokenizer: TextTokenizer) -> None:
        """`fits` must hold of the tokenizer."""
        library = tokenizer.library
        self._marks = tokenizer.bos_id, tokenizer.eos_id
        self._cutter = Cutter()
        self._merges = merges_of(library)
        self._known = _nothing_known()
        self._whole = tokenizers.Tokenizer(library.model)  # without special tokens, and without cuts
        self._whole.pre_tokenizer = byte_level()

    def encode(self, texts: pa.Array) -> tuple[Ids, Numbers]:
        """The ids of all texts in a row, each as BOS, its own, EOS, uint32 [tokens]; how many each has, int64 [texts].

        Raises:
            SourceError: a text is not UTF-8, such as one with a lone surrogate.
        """
        _refuse_unless_text(texts)
        raw, offsets = _bytes_of(texts)
        ends = self._cutter.cut(raw, offsets)
        ids = np.empty(len(raw) + 2 * len(texts), dtype=np.uint32)
        counts = np.empty(len(texts), dtype=np.int64)
        used = encode_texts(raw, offsets, ends, self._merges, self._known, self._long(raw, ends), self._marks, ids, counts)
        return ids[:used], counts

    def _long(self, raw: Bytes, ends: Numbers) -> Long:
        sizes = np.diff(ends, prepend=0)
        found = np.flatnonzero(sizes > LONGEST)
        pieces = [bytes(raw[ends[n] - sizes[n] : ends[n]]).decode() for n in found]
        ids = [np.array(self._whole.encode(piece, add_special_tokens=False).ids, dtype=np.uint32) for piece in pieces]
        return Long(np.concatenate([*ids, np.zeros(0, dtype=np.uint32)]), np.array([len(one) for one in ids], dtype=np.int64))


class LibraryEncoder:
    """The same, text by text with the library in one thread, for tokenizers that came from elsewhere."""

    def __init__(self, tokenizer: TextTokenizer) -> None:
        self._tokenizer = tokenizer

    def encode(self, texts: pa.Array) -> tuple[Ids, Numbers]:
        """As `BatchEncoder.encode`."""
        _refuse_unless_text(texts)
        bos, eos = self._tokenizer.bos_id, self._tokenizer.eos_id
        rows = [np.array([bos, *self._tokenizer.encode(text), eos], dtype=np.uint32) for text in texts.to_pylist()]
        return np.concatenate([*rows, np.zeros(0, dtype=np.uint32)]), np.array([len(row) for row in rows], dtype=np.int64)


def encoder_of(tokenizer: TextTokenizer) -> BatchEncoder | LibraryEncoder:
    """What encodes documents with a tokenizer: in machine code where it is of our make, else with the library."""
    return BatchEncoder(tokenizer) if fits(tokenizer.library) else LibraryEncoder(tokenizer)


def fits(library: tokenizers.Tokenizer) -> bool:
    """Whether text is cut as `pretokenization` cuts it, and its bytes merged by ranks alone, as `BatchEncoder` does."""
    model = library.model
    if not isinstance(model, tokenizers.models.BPE) or library.normalizer is not None or library.pre_tokenizer is None:
        return False
    plain = model.dropout is None and not model.ignore_merges and not model.byte_fallback and not model.fuse_unk
    whole = (
        not model.continuing_subword_prefix
        and not model.end_of_word_suffix
        and all(token.special for token in library.get_added_tokens_decoder().values())
    )
    return bool(plain and whole and library.pre_tokenizer.__getstate__() == pre_tokenizer().__getstate__())


def _refuse_unless_text(texts: pa.Array) -> None:
    try:
        texts.validate(full=True)
    except pa.ArrowInvalid as error:
        raise SourceError(f"{error}; allowed: text that UTF-8 can say") from error


def _nothing_known() -> Known:
    return Known(
        slots=np.full(2 * KEPT, EMPTY, dtype=np.int64),
        words=np.empty(KEPT, dtype=np.uint64),
        places=np.empty((KEPT, 4), dtype=np.int32),
        text=np.empty(KEPT_BYTES, dtype=np.uint8),
        ids=np.empty(KEPT_BYTES, dtype=np.uint32),
        used=np.zeros(3, dtype=np.int64),
        seed=np.uint64(secrets.randbits(64)),
    )


def _bytes_of(texts: pa.Array) -> tuple[Bytes, Numbers]:
    """The UTF-8 bytes of texts as they lie in memory, and where each begins in them, int64 [texts + 1]."""
    texts = texts.cast(pa.large_string())
    _, offsets, data = texts.buffers()
    starts = np.frombuffer(offsets, dtype=np.int64)[texts.offset : texts.offset + len(texts) + 1]
    raw = np.frombuffer(data, dtype=np.uint8) if data is not None else np.zeros(0, dtype=np.uint8)
    return raw[starts[0] : starts[-1]], starts - starts[0]


@compiled
def encode_texts(raw, offsets, ends, merges, known, long, marks, ids, counts):  # type: ignore[no-untyped-def]
    """Write the ids of all texts, and how many each has; how many there are. `ends` are those of the pieces."""
    slots, words, places, text_of, ids_of = known.slots, known.words, known.places, known.text, known.ids
    products, merged = np.empty(LONGEST, dtype=np.uint64), np.empty(LONGEST, dtype=np.uint32)
    used, piece, begin, longs, long_ids = 0, 0, 0, 0, 0
    for text in range(len(offsets) - 1):
        first = used
        ids[used] = marks[0]
        used += 1
        while begin < offsets[text + 1]:
            end = ends[piece]
            piece += 1
            if end - begin > LONGEST:
                count, source, start = long.counts[longs], long.ids, long_ids
                longs, long_ids = longs + 1, long_ids + count
            else:
                word = _word(raw, begin, min(begin + 8, end))
                value = _hash(raw, begin, end, word, known.seed)
                slot, number = _find(raw, begin, end, word, value, slots, words, places, text_of)
                if number == EMPTY:
                    count, source, start = merge(raw, begin, end, merges, merged, products), merged, 0
                    _remember(raw, begin, end, known, slot, value, word, merged, count)
                else:
                    count, source, start = places[number, 3], ids_of, places[number, 2]
            for place in range(count):
                ids[used + place] = source[start + place]
            used += count
            begin = end
        ids[used] = marks[1]
        used += 1
        counts[text] = used - first
    return used


@compiled
def _find(raw, begin, end, word, value, slots, words, places, text):  # type: ignore[no-untyped-def]
    """The slot of a piece, and its number, `EMPTY` where it is not known; arrays by themselves, as tuples are slow to pass."""
    mask, tag = len(slots) - 1, _tag(value)
    slot = np.int64(value) & mask
    while slots[slot] != EMPTY:
        number = slots[slot] & 0xFFFFFFFF
        if slots[slot] - number == tag and words[number] == word and places[number, 1] == end - begin:
            place, start = begin + 8, places[number, 0] - begin
            while place < end and raw[place] == text[start + place]:
                place += 1
            if place >= end:
                return slot, number
        slot = (slot + 1) & mask
    return slot, np.int64(EMPTY)


@compiled
def _tag(value):  # type: ignore[no-untyped-def]
    """The upper bits of a hash, where a slot has them."""
    return np.int64(value >> np.uint64(33)) << np.int64(32)


@compiled
def _word(raw, begin, end):  # type: ignore[no-untyped-def]
    """Up to eight bytes as one number."""
    word = np.uint64(0)
    for place in range(begin, end):
        word = (word << np.uint64(8)) | np.uint64(raw[place])
    return word


@compiled
def _hash(raw, begin, end, word, seed):  # type: ignore[no-untyped-def]
    """Eight bytes at a time, mixed in the end, as slots take the lower bits and tags the upper ones (SplitMix64's finaliser)."""
    value, place = seed + np.uint64(end - begin), begin + 8
    value = (value ^ word) * GOLDEN_RATIO
    while place < end:
        value ^= value >> np.uint64(32)
        value = (value ^ _word(raw, place, min(place + 8, end))) * GOLDEN_RATIO
        place += 8
    return mix(value)


@compiled
def _remember(raw, begin, end, known, slot, value, word, merged, count):  # type: ignore[no-untyped-def]
    """Keep a piece's ids in the free slot, or forget all pieces where there is no room for it."""
    number, start, first = known.used[0], known.used[1], known.used[2]
    if number == len(known.places) or start + end - begin > len(known.text) or first + count > len(known.ids):
        known.slots[:] = EMPTY
        known.used[:] = 0
        return
    known.words[number] = word
    known.places[number, 0], known.places[number, 1] = start, end - begin
    known.places[number, 2], known.places[number, 3] = first, count
    known.text[start : start + end - begin] = raw[begin:end]
    known.ids[first : first + count] = merged[:count]
    known.slots[slot] = _tag(value) | number
    known.used[0], known.used[1], known.used[2] = number + 1, start + end - begin, first + count

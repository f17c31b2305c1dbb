"""Encodes documents in batches, in one thread: the ids of `TextTokenizer`, without a Python object for each text or piece.

Texts are pre-tokenized into pieces in machine code. Most pieces occur again: their ids are cached. Others are merged by a table
of pairs; long ones by the library, whose time does not grow with the square of their length. With reading and writing, this takes
a sixth of the library's processor time or less (`make bench-tokenizing`), about as much as tiktoken without either.
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
from components.tokenizer.compiled_merging import merge, merges_of
from components.tokenizer.compiled_pretokenization import PreTokenizer
from components.tokenizer.pretokenization import byte_level, pre_tokenizer_of
from components.tokenizer.text_tokenizer import TextTokenizer

Ids = npt.NDArray[np.uint32]

MAX_PIECE_BYTES = 128
"""Longest piece that is merged here and cached."""

MAX_CACHED_PIECES = 1 << 18
"""Pieces in the cache; when it is full, it is emptied, so that the memory of a worker does not grow."""

MAX_CACHED_BYTES = 16 * MAX_CACHED_PIECES
"""Bytes, and ids, of all pieces in the cache."""

EMPTY = -1


class PieceCache(NamedTuple):
    """Pieces with their ids, in a hash table with open addressing; a named tuple, which machine code can take."""

    slots: npt.NDArray[np.int64]
    """A piece's number in the lower half, bits of its hash in the upper; `EMPTY` where there is none; [2 * MAX_CACHED_PIECES]."""
    prefixes: npt.NDArray[np.uint64]
    """The first eight bytes of each piece, [MAX_CACHED_PIECES]."""
    spans: npt.NDArray[np.int32]
    """Of each piece: start and number of its bytes, start and number of its ids; [MAX_CACHED_PIECES, 4]."""
    text: Bytes
    """The bytes of all pieces, [MAX_CACHED_BYTES]."""
    ids: Ids
    """The ids of all pieces, [MAX_CACHED_BYTES]."""
    used: Numbers
    """How many pieces, bytes and ids there are, [3]."""
    seed: np.uint64
    """Of the hashes, different in each process: nobody can write a text whose pieces all collide."""


class LongPieces(NamedTuple):
    """The ids of pieces that are longer than `MAX_PIECE_BYTES`, in their order."""

    ids: Ids
    counts: Numbers


class BatchEncoder:
    """Encodes documents with a tokenizer trained here. Control ids are put around texts, and never come from a text."""

    def __init__(self, tokenizer: TextTokenizer) -> None:
        """`supports` must hold for the tokenizer."""
        library, name = tokenizer.library, pre_tokenizer_of(tokenizer.library)
        if name is None:
            raise ValueError("the tokenizer's pre-tokenizer is unknown; call supports first")
        self._marks = tokenizer.bos_id, tokenizer.eos_id
        self._pre_tokenizer = PreTokenizer(name)
        self._merges = merges_of(library)
        self._cache = _empty_cache()
        self._model_alone = tokenizers.Tokenizer(library.model)  # without special tokens, and without pre-tokenization
        self._model_alone.pre_tokenizer = byte_level()

    def encode(self, texts: pa.Array) -> tuple[Ids, Numbers]:
        """The ids of all texts in a row, each as BOS, its own, EOS, uint32 [tokens]; how many each has, int64 [texts].

        Raises:
            SourceError: a text is not UTF-8, such as one with a lone surrogate.
        """
        _refuse_unless_text(texts)
        raw, offsets = _bytes_of(texts)
        ends = self._pre_tokenizer.piece_ends(raw, offsets)
        ids = np.empty(len(raw) + 2 * len(texts), dtype=np.uint32)
        counts = np.empty(len(texts), dtype=np.int64)
        long_pieces = self._encode_long(raw, ends)
        used = _encode_texts(raw, offsets, ends, self._merges, self._cache, long_pieces, self._marks, ids, counts)
        return ids[:used], counts

    def _encode_long(self, raw: Bytes, ends: Numbers) -> LongPieces:
        sizes = np.diff(ends, prepend=0)
        pieces = [bytes(raw[ends[n] - sizes[n] : ends[n]]).decode() for n in np.flatnonzero(sizes > MAX_PIECE_BYTES)]
        rows = [np.array(self._model_alone.encode(piece, add_special_tokens=False).ids, dtype=np.uint32) for piece in pieces]
        return LongPieces(*_joined(rows))


class LibraryEncoder:
    """Encodes documents with the library, text by text in one thread: for tokenizers that were not trained here."""

    def __init__(self, tokenizer: TextTokenizer) -> None:
        self._tokenizer = tokenizer

    def encode(self, texts: pa.Array) -> tuple[Ids, Numbers]:
        """As `BatchEncoder.encode`."""
        _refuse_unless_text(texts)
        bos, eos = self._tokenizer.bos_id, self._tokenizer.eos_id
        rows = [np.array([bos, *self._tokenizer.encode(text), eos], dtype=np.uint32) for text in texts.to_pylist()]
        return _joined(rows)


def encoder_of(tokenizer: TextTokenizer) -> BatchEncoder | LibraryEncoder:
    """The encoder for a tokenizer: `BatchEncoder` where it supports it, else the library."""
    return BatchEncoder(tokenizer) if supports(tokenizer.library) else LibraryEncoder(tokenizer)


def supports(library: tokenizers.Tokenizer) -> bool:
    """Whether `BatchEncoder` gives the same ids: text is split as by `pretokenization`, and bytes are merged by rank alone."""
    model = library.model
    if not isinstance(model, tokenizers.models.BPE) or library.normalizer is not None:
        return False
    plain = model.dropout is None and not model.ignore_merges and not model.byte_fallback and not model.fuse_unk
    whole = (
        not model.continuing_subword_prefix
        and not model.end_of_word_suffix
        and all(token.special for token in library.get_added_tokens_decoder().values())
    )
    return bool(plain and whole and pre_tokenizer_of(library))


def _refuse_unless_text(texts: pa.Array) -> None:
    try:
        texts.validate(full=True)
    except pa.ArrowInvalid as error:
        raise SourceError(f"{error}; allowed: text that UTF-8 can say") from error


def _joined(rows: list[Ids]) -> tuple[Ids, Numbers]:
    """All ids in a row, and how many each row has."""
    return np.concatenate([*rows, np.zeros(0, dtype=np.uint32)]), np.array([len(row) for row in rows], dtype=np.int64)


def _empty_cache() -> PieceCache:
    return PieceCache(
        slots=np.full(2 * MAX_CACHED_PIECES, EMPTY, dtype=np.int64),
        prefixes=np.empty(MAX_CACHED_PIECES, dtype=np.uint64),
        spans=np.empty((MAX_CACHED_PIECES, 4), dtype=np.int32),
        text=np.empty(MAX_CACHED_BYTES, dtype=np.uint8),
        ids=np.empty(MAX_CACHED_BYTES, dtype=np.uint32),
        used=np.zeros(3, dtype=np.int64),
        seed=np.uint64(secrets.randbits(64)),
    )


def _bytes_of(texts: pa.Array) -> tuple[Bytes, Numbers]:
    """The UTF-8 bytes of texts without a copy, and the offset of each in them, int64 [texts + 1]."""
    texts = texts.cast(pa.large_string())
    _, offsets, data = texts.buffers()
    starts = np.frombuffer(offsets, dtype=np.int64)[texts.offset : texts.offset + len(texts) + 1]
    raw = np.frombuffer(data, dtype=np.uint8) if data is not None else np.zeros(0, dtype=np.uint8)
    return raw[starts[0] : starts[-1]], starts - starts[0]


@compiled
def _encode_texts(raw, offsets, ends, merges, cache, long_pieces, marks, ids, counts):  # type: ignore[no-untyped-def]
    """Write the ids of all texts, and how many each has; the number of all. `ends` are those of the pieces."""
    slots, prefixes, spans, cached_text, cached_ids = cache.slots, cache.prefixes, cache.spans, cache.text, cache.ids
    products, merged = np.empty(MAX_PIECE_BYTES, dtype=np.uint64), np.empty(MAX_PIECE_BYTES, dtype=np.uint32)
    used, piece, start, long_piece, long_used = 0, 0, 0, 0, 0
    for text in range(len(offsets) - 1):
        first = used
        ids[used] = marks[0]
        used += 1
        while start < offsets[text + 1]:
            end = ends[piece]
            piece += 1
            if end - start > MAX_PIECE_BYTES:
                count, source, source_start = long_pieces.counts[long_piece], long_pieces.ids, long_used
                long_piece, long_used = long_piece + 1, long_used + count
            else:
                prefix = _packed(raw, start, min(start + 8, end))
                value = _hash(raw, start, end, prefix, cache.seed)
                slot, number = _find(raw, start, end, prefix, value, slots, prefixes, spans, cached_text)
                if number == EMPTY:
                    count, source, source_start = merge(raw, start, end, merges, merged, products), merged, 0
                    _insert(raw, start, end, cache, slot, value, prefix, merged, count)
                else:
                    count, source, source_start = spans[number, 3], cached_ids, spans[number, 2]
            for index in range(count):
                ids[used + index] = source[source_start + index]
            used += count
            start = end
        ids[used] = marks[1]
        used += 1
        counts[text] = used - first
    return used


@compiled
def _find(raw, start, end, prefix, value, slots, prefixes, spans, text):  # type: ignore[no-untyped-def]
    """The slot of a piece, and its number, `EMPTY` if it is not cached. Takes arrays one by one: passing tuples is slow."""
    mask, tag = len(slots) - 1, _tag(value)
    slot = np.int64(value) & mask
    while slots[slot] != EMPTY:
        number = slots[slot] & 0xFFFFFFFF
        if slots[slot] - number == tag and prefixes[number] == prefix and spans[number, 1] == end - start:
            position, shift = start + 8, spans[number, 0] - start
            while position < end and raw[position] == text[shift + position]:
                position += 1
            if position >= end:
                return slot, number
        slot = (slot + 1) & mask
    return slot, np.int64(EMPTY)


@compiled
def _tag(value):  # type: ignore[no-untyped-def]
    """The upper bits of a hash, at the position that they have in a slot."""
    return np.int64(value >> np.uint64(33)) << np.int64(32)


@compiled
def _packed(raw, start, end):  # type: ignore[no-untyped-def]
    """Up to eight bytes as one number."""
    number = np.uint64(0)
    for position in range(start, end):
        number = (number << np.uint64(8)) | np.uint64(raw[position])
    return number


@compiled
def _hash(raw, start, end, prefix, seed):  # type: ignore[no-untyped-def]
    """Eight bytes at a time, mixed at the end, as slots take the lower bits and tags the upper ones (SplitMix64's finaliser)."""
    value, position = seed + np.uint64(end - start), start + 8
    value = (value ^ prefix) * GOLDEN_RATIO
    while position < end:
        value ^= value >> np.uint64(32)
        value = (value ^ _packed(raw, position, min(position + 8, end))) * GOLDEN_RATIO
        position += 8
    return mix(value)


@compiled
def _insert(raw, start, end, cache, slot, value, prefix, merged, count):  # type: ignore[no-untyped-def]
    """Cache a piece's ids in the free slot, or empty the cache if it is full."""
    number, text_start, ids_start = cache.used[0], cache.used[1], cache.used[2]
    if number == len(cache.spans) or text_start + end - start > len(cache.text) or ids_start + count > len(cache.ids):
        cache.slots[:] = EMPTY
        cache.used[:] = 0
        return
    cache.prefixes[number] = prefix
    cache.spans[number, 0], cache.spans[number, 1] = text_start, end - start
    cache.spans[number, 2], cache.spans[number, 3] = ids_start, count
    cache.text[text_start : text_start + end - start] = raw[start:end]
    cache.ids[ids_start : ids_start + count] = merged[:count]
    cache.slots[slot] = _tag(value) | number
    cache.used[0], cache.used[1], cache.used[2] = number + 1, text_start + end - start, ids_start + count

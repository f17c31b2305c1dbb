"""Bits per byte: the number of bits a model needs per byte of text. Used in training and in evaluation.

Bits per byte of a set of documents is the sum of −log2 p over all tokens of all documents, divided by their UTF-8 bytes.
- All tokens of the text count, and so does the end-of-document token, because a model must also predict where a document ends.
  The beginning-of-document token is given and not scored.
- Each token is scored once. A document that is longer than the context is read in windows that advance by half a context: the
  first window scores all of its tokens, later windows score only tokens that have not been scored yet. So every token after the
  first window has at least half a context before it (the sliding window of
  https://huggingface.co/docs/transformers/perplexity).
- Only documents of at least 1 kB count (`components.generation.scored`).
- Domains are not pooled: each domain has its own value, and `mean` averages them with fixed weights.

Unlike the loss per token, bits per byte does not depend on the tokenizer, so models with different tokenizers can be compared
(Pile, arXiv 2101.00027, section 3.1; DeepSeek LLM, arXiv 2401.02954, section 2.3, measures it on Pile-test).
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import torch
from torch import Tensor

from components.errors import ConfigError
from components.generation.scored import MIN_BYTES
from components.model.decoder import Decoder
from components.model.denormals import flushed_denormals
from components.model.loss import cross_entropy

IGNORED = -100
"""Target value of tokens that are not scored."""


class TokenReader(Protocol):
    """Reads token shards."""

    def documents(self, split: str, domain: str) -> pa.Table:
        """One row per document: id, start (offset of its first token), tokens, bytes."""
        ...

    def window(self, split: str, domain: str, start: int, length: int) -> npt.NDArray[np.integer]:
        """`length` token ids of a domain, from offset `start` on."""
        ...


@dataclass(frozen=True)
class BitsPerByte:
    """The measurement of one domain."""

    bits: float
    """Sum of −log2 p over all tokens."""
    bytes: int
    """UTF-8 bytes of the documents that count."""
    documents: int
    """Number of documents that count."""

    @property
    def value(self) -> float:
        """Bits per byte; NaN if no document counts."""
        return self.bits / self.bytes if self.bytes else math.nan


def bits_per_byte(
    model: Decoder,
    reader: TokenReader,
    split: str,
    domain: str,
    *,
    max_bytes: int | None = None,
    seed: int = 0,
    batch_tokens: int = 8192,
) -> BitsPerByte:
    """Measure a model on documents of one domain, on its current device and in its precision.

    Args:
        model: a decoder in evaluation mode.
        reader: token shards; each document is BOS, text, EOS.
        split: "train" or "validation".
        domain: a domain of that split.
        max_bytes: maximum bytes of documents, taken in a random order; at least one document is used. None: all documents.
        seed: random seed of this order; with the same seed, every model sees the same documents.
        batch_tokens: tokens in one forward pass; at least one window is used.
    """
    chosen = _choose(reader.documents(split, domain), max_bytes, seed)
    context = model.shape.context
    windows = [
        window
        for start, tokens, _ in chosen
        for window in _windows(np.asarray(reader.window(split, domain, start, tokens)).astype(np.int64), context)
    ]
    nats = sum(_score(model, inputs, targets) for inputs, targets in _batches(windows, batch_tokens))
    return BitsPerByte(bits=nats / math.log(2), bytes=sum(size for _, _, size in chosen), documents=len(chosen))


def mean(figures: Mapping[str, BitsPerByte], shares: Mapping[str, float]) -> float:
    """Mean bits per byte over domains with the weights `shares`; domains in which no document counts are skipped."""
    measured = {domain: figure.value for domain, figure in figures.items() if figure.documents}
    if not measured:
        raise ConfigError(f"no document of at least {MIN_BYTES} bytes in {', '.join(sorted(figures))}; add longer documents")
    total = sum(shares[domain] for domain in measured)
    return sum(value * shares[domain] for domain, value in measured.items()) / total


def _choose(documents: pa.Table, max_bytes: int | None, seed: int) -> list[tuple[int, int, int]]:
    """(start, tokens, bytes) of the documents that count."""
    columns = (documents[name].to_pylist() for name in ("start", "tokens", "bytes"))
    long = [row for row in zip(*columns, strict=True) if row[2] >= MIN_BYTES]
    if max_bytes is None:
        return long
    order = np.random.default_rng(seed).permutation(len(long))
    sizes = np.cumsum([long[index][2] for index in order])
    return [long[index] for index in order[: max(1, int(np.searchsorted(sizes, max_bytes, side="right")))]]


def _windows(ids: npt.NDArray[np.int64], context: int) -> Iterator[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]]:
    """Windows of a document, as inputs and targets of equal length; each token except the first is scored in one window."""
    inputs, targets = ids[:-1], ids[1:]
    scored = 0
    while scored < len(targets):
        start = 0 if scored == 0 else scored - (context - max(1, context // 2))
        end = min(start + context, len(targets))
        wanted = targets[start:end].copy()
        wanted[: scored - start] = IGNORED
        yield inputs[start:end], wanted
        scored = end


def _batches(
    windows: list[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]], batch_tokens: int
) -> Iterator[tuple[Tensor, Tensor]]:
    """Batches of windows of similar length, padded at the end, which causal attention ignores."""
    ordered = sorted(windows, key=lambda window: len(window[0]))
    while ordered:
        longest = len(ordered[-1][0])
        count = max(1, batch_tokens // longest)
        together, ordered = ordered[-count:], ordered[:-count]
        inputs = np.zeros((len(together), longest), dtype=np.int64)
        targets = np.full((len(together), longest), IGNORED, dtype=np.int64)
        for row, (window, wanted) in enumerate(together):
            inputs[row, : len(window)], targets[row, : len(window)] = window, wanted
        yield torch.from_numpy(inputs), torch.from_numpy(targets)


@flushed_denormals()
@torch.no_grad()
def _score(model: Decoder, inputs: Tensor, targets: Tensor) -> float:
    """Sum of the losses of the targets, in nats."""
    device = next(model.parameters()).device
    logits = model(inputs.to(device))  # with streamed weights, the logits are on another device than the weights
    losses = cross_entropy(logits, targets.to(logits.device), ignore_index=IGNORED, reduction="none")
    return float(losses.double().sum())

"""Generates continuations of prompts with a decoder, and scores given continuations.

Shapes: B rows of a batch, T tokens, D d_model, V vocabulary, N scored tokens, P prompts.
"""

import math
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from components.errors import ConfigError, require
from components.model.cache import KeyValueCache
from components.model.decoder import Decoder
from components.model.denormals import flushed_denormals
from components.model.loss import cross_entropy


@dataclass(frozen=True, kw_only=True, slots=True)
class Sampling:
    """How the next token is sampled."""

    max_new_tokens: int
    """Maximum tokens of an answer; an answer also ends when the context is full."""
    temperature: float = 0.0
    """Divisor of the logits; 0: always choose the most probable token."""
    top_p: float = 1.0
    """Sample from the smallest set of tokens with at least this total probability (nucleus sampling, arXiv 1904.09751)."""
    stop_ids: tuple[int, ...] = ()
    """Token ids that end an answer; they are not part of it."""

    def __post_init__(self) -> None:
        require(self.max_new_tokens >= 1, self, "max_new_tokens", self.max_new_tokens, "at least 1")
        finite = math.isfinite(self.temperature) and self.temperature >= 0
        require(finite, self, "temperature", self.temperature, "0 (greedy) or a positive number")
        require(0 < self.top_p <= 1, self, "top_p", self.top_p, "above 0, at most 1")


def generate(
    model: Decoder,
    prompts: Sequence[Sequence[int]],
    *,
    max_new_tokens: int,
    temperature: float = 0.0,
    top_p: float = 1.0,
    stop_ids: Collection[int] = (),
    seed: int = 0,
    batch_size: int = 32,
) -> list[list[int]]:
    """Generate a continuation of each prompt; returns the new token ids, without the stop id.

    The random numbers for a prompt depend on the seed and on its index in `prompts`, not on how prompts are batched.

    Raises:
        ConfigError: a prompt is empty or fills the context, or a sampling setting is invalid.
    """
    sampling = Sampling(max_new_tokens=max_new_tokens, temperature=temperature, top_p=top_p, stop_ids=tuple(sorted(stop_ids)))
    require(batch_size >= 1, sampling, "batch_size", batch_size, "at least 1")
    for index, prompt in enumerate(prompts):
        _refuse_prompt(index, len(prompt), model.shape.context)
    draws_PT = torch.rand(len(prompts), max_new_tokens, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
    by_length = sorted(range(len(prompts)), key=lambda index: len(prompts[index]))
    answers: dict[int, list[int]] = {}
    for start in range(0, len(prompts), batch_size):
        rows = by_length[start : start + batch_size]
        answers.update(zip(rows, _continue_batch(model, [prompts[row] for row in rows], draws_PT[rows], sampling), strict=True))
    return [answers[index] for index in range(len(prompts))]


def score(
    model: Decoder, requests: Sequence[tuple[Sequence[int], Sequence[int]]], batch_tokens: int = 4096
) -> list[tuple[float, bool]]:
    """For each (context ids, continuation ids): the continuation's log-probability in nats, and whether it is the greedy one.

    If context and continuation together exceed the model's context, the first tokens of the context are dropped.

    Args:
        model: the decoder; it computes in the dtype of its weights, and losses are summed in fp32.
        requests: pairs in any order; they are batched by length.
        batch_tokens: maximum tokens of a batch, including padding; a batch has at least one request.

    Raises:
        ConfigError: a context or continuation is empty, or a continuation is longer than the model's context.
    """
    for index, (context, continuation) in enumerate(requests):
        if not context or not 0 < len(continuation) <= model.shape.context:
            raise ConfigError(
                f"request {index} has {len(context)} context and {len(continuation)} continuation tokens; "
                f"allowed: at least 1 context token, and 1 to {model.shape.context} continuation tokens"
            )
    inputs = [([*context, *continuation][:-1])[-model.shape.context :] for context, continuation in requests]
    scores: dict[int, tuple[float, bool]] = {}
    for rows in _batches([len(tokens) for tokens in inputs], batch_tokens):
        scores.update(zip(rows, _score_batch(model, [inputs[r] for r in rows], [requests[r][1] for r in rows]), strict=True))
    return [scores[index] for index in range(len(requests))]


def choose(logits_BV: Tensor, draws_B: Tensor, temperature: float, top_p: float) -> Tensor:
    """Choose one token id per row: the most probable at temperature 0, otherwise by inverse transform sampling.

    `draws_B` are uniform random numbers in [0, 1).
    """
    if temperature == 0:
        return logits_BV.argmax(-1)
    probabilities_BV = torch.softmax(logits_BV.double() / temperature, -1)
    if top_p < 1:
        probabilities_BV = _nucleus(probabilities_BV, top_p)
    sums_BV = probabilities_BV.cumsum(-1)
    total_B1 = sums_BV[:, -1:]
    index_B1 = torch.searchsorted(sums_BV, draws_B[:, None] * total_B1, right=True)
    last_B1 = (sums_BV < total_B1).sum(-1, keepdim=True)  # upper bound, in case rounding makes the draw equal to the total
    return torch.minimum(index_B1, last_B1)[:, 0]


def _nucleus(probabilities_BV: Tensor, top_p: float) -> Tensor:
    """The probabilities, set to zero outside of the smallest set of tokens with a total probability of at least `top_p`."""
    sorted_BV, ids_BV = probabilities_BV.sort(dim=-1, descending=True, stable=True)
    before_BV = sorted_BV.cumsum(-1) - sorted_BV
    return torch.zeros_like(probabilities_BV).scatter_(1, ids_BV, sorted_BV * (before_BV < top_p))


def _refuse_prompt(index: int, length: int, context: int) -> None:
    if not 0 < length < context:
        raise ConfigError(
            f"prompt {index} has {length} tokens; allowed: 1 to {context - 1}, so that one more fits into the context"
        )


@flushed_denormals()
@torch.inference_mode()
def _continue_batch(model: Decoder, prompts: Sequence[Sequence[int]], draws_BT: Tensor, sampling: Sampling) -> list[list[int]]:
    """Generate for one batch: prompts are padded at the start and processed at once; finished rows are removed from the batch."""
    longest, device = max(map(len, prompts)), model.head.weight.device
    padding = [longest - len(prompt) for prompt in prompts]
    limits = [min(sampling.max_new_tokens, model.shape.context - len(prompt)) for prompt in prompts]
    cache = KeyValueCache(model.shape, padding, longest + max(limits), like=model.head.weight)
    tokens = [[0] * pad + list(prompt) for pad, prompt in zip(padding, prompts, strict=True)]
    answers: list[list[int]] = [[] for _ in prompts]
    rows = list(range(len(prompts)))
    for step in range(max(limits)):
        last_BD = model.hidden(torch.tensor(tokens, device=device), cache)[:, -1]
        draws_B = draws_BT[rows, step].to(device)
        chosen = choose(model.head(last_BD), draws_B, sampling.temperature, sampling.top_p).tolist()
        unfinished = [index for index, token in enumerate(chosen) if token not in sampling.stop_ids]
        for index in unfinished:
            answers[rows[index]].append(chosen[index])
        unfinished = [index for index in unfinished if len(answers[rows[index]]) < limits[rows[index]]]
        if not unfinished:
            break
        if len(unfinished) < len(rows):
            cache.keep(unfinished)
        rows, tokens = [rows[index] for index in unfinished], [[chosen[index]] for index in unfinished]
    return answers


@flushed_denormals()
@torch.inference_mode()
def _score_batch(
    model: Decoder, inputs: Sequence[Sequence[int]], continuations: Sequence[Sequence[int]]
) -> list[tuple[float, bool]]:
    """Score one batch, padded at the end, which causal attention ignores. Only continuation tokens pass through the head."""
    device, longest = model.head.weight.device, max(map(len, inputs))
    padded = torch.tensor([[*tokens, *[0] * (longest - len(tokens))] for tokens in inputs], device=device)
    lengths = [len(continuation) for continuation in continuations]
    scored_BT = torch.zeros(padded.shape, dtype=torch.bool)
    for row, (tokens, length) in enumerate(zip(inputs, lengths, strict=True)):
        scored_BT[row, len(tokens) - length : len(tokens)] = True
    logits_NV = model.head(model.hidden(padded)[scored_BT.to(device)])
    targets_N = torch.tensor([token for continuation in continuations for token in continuation], device=device)
    losses = torch.split(cross_entropy(logits_NV, targets_N, reduction="none").cpu(), lengths)
    greedy = torch.split((logits_NV.argmax(-1) == targets_N).cpu(), lengths)
    return [(-loss.sum().item(), bool(hits.all())) for loss, hits in zip(losses, greedy, strict=True)]


def _batches(lengths: Sequence[int], batch_tokens: int) -> Iterator[list[int]]:
    """Groups of indices with similar lengths, longest first, each with at most `batch_tokens` tokens after padding."""
    batch: list[int] = []
    for index in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
        if batch and lengths[batch[0]] * (len(batch) + 1) > batch_tokens:
            yield batch
            batch = []
        batch.append(index)
    if batch:
        yield batch

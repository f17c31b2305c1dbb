"""Packed batches of token shards, and the next-token loss on them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from components.model.decoder import Decoder
from components.model.loss import cross_entropy, linear_cross_entropy
from components.tokenizer.token_shards import TokenShardReader
from components.training.data_order import DataOrder
from components.training.objective import Batch, Terms


@dataclass(frozen=True)
class PackedBatches:
    """Windows of consecutive tokens, whatever documents they cross, in the data order.

    Window w of a domain holds the inputs w·L to (w + 1)·L and the targets one further on, so an epoch predicts each token once.
    """

    reader: TokenShardReader
    order: DataOrder
    batch_size: int
    """Sequences in the global batch."""
    sequence_length: int
    """L, in tokens."""
    micro_batch_size: int
    """Sequences."""

    def micro_batches(self, step: int, rank: int, world_size: int) -> Sequence[Batch]:
        """The rank's part of the global batch: `tokens` and `targets`, int64 of shape [sequences, L].

        `domains`, int64 [sequences], are places in `order.portions`; `domain_scale`, fp32 [domains], is the size of the global
        batch over the sequences that each domain has in it, not a number where it has none.
        """
        first, end = (self.batch_size * place // world_size for place in (rank, rank + 1))
        domains, windows = self.order.samples(step * self.batch_size + first, end - first)
        rows = [self._row(domain, window) for domain, window in zip(domains.tolist(), windows.tolist(), strict=True)]
        scale, places = self._domain_scale(step), torch.from_numpy(domains)
        return [
            {**_batch(rows[at:end]), "domains": places[at:end], "domain_scale": scale}
            for at in range(0, len(rows), self.micro_batch_size)
            for end in (at + self.micro_batch_size,)
        ]

    def tokens_by_domain(self, steps: int) -> dict[str, npt.NDArray[np.int64]]:
        """Tokens of each domain seen after each of the first `steps` steps."""
        counts = self.order.counts(self.batch_size * np.arange(1, steps + 1, dtype=np.int64))
        return {domain: count * self.sequence_length for domain, count in counts.items()}

    def _domain_scale(self, step: int) -> Tensor:
        counts = self.order.counts(self.batch_size * np.array([step, step + 1], dtype=np.int64))
        sequences = torch.tensor([float(count[1] - count[0]) for count in counts.values()])
        return torch.where(sequences > 0, self.batch_size / sequences, torch.nan)

    def _row(self, domain: int, window: int) -> npt.NDArray[np.int64]:
        start = window * self.sequence_length
        ids = self.reader.window("train", self.order.portions[domain].domain, start, self.sequence_length + 1)
        return np.asarray(ids).astype(np.int64)


def _batch(rows: Sequence[npt.NDArray[np.int64]]) -> Batch:
    ids = torch.from_numpy(np.stack(rows))
    return {"tokens": ids[:, :-1], "targets": ids[:, 1:]}


def windows_of(reader: TokenShardReader, domains: Sequence[str], sequence_length: int) -> dict[str, int]:
    """Whole windows of each domain's training tokens; the last target needs one token more."""
    present = set(reader.domains("train"))
    counts = {domain: reader.token_count("train", domain) if domain in present else 0 for domain in domains}
    return {domain: max(0, count - 1) // sequence_length for domain, count in counts.items()}


@dataclass(frozen=True)
class NextToken:
    """The mean cross-entropy of the next token, in nats."""

    loss_rows: int | None = None
    """Targets whose logits exist at once; None: all of a micro-batch."""
    domains: tuple[str, ...] = ()
    """Names of the places in a batch's `domains`, whose losses are reported; empty: none are."""

    def weight(self, batch: Batch) -> float:
        """Target tokens."""
        return batch["targets"].numel()

    def __call__(self, model: nn.Module, batch: Batch) -> Terms:
        """The sum over the micro-batch; `loss/DOMAIN` is the mean over that domain's targets in the global batch."""
        decoder, targets_BT = cast(Decoder, model), batch["targets"]
        if self.loss_rows is None:
            logits_BTV = model(batch["tokens"])
            losses: Tensor = cross_entropy(logits_BTV, targets_BT, reduction="none", vocabulary=decoder.vocabulary)
            return Terms(loss=losses.sum(), figures=self._by_domain(losses, batch))
        hidden_BTD, head_VD = model(batch["tokens"], with_head=False), decoder.head.weight
        total, losses = linear_cross_entropy(hidden_BTD, head_VD, targets_BT, rows=self.loss_rows, vocabulary=decoder.vocabulary)
        return Terms(loss=total, figures=self._by_domain(losses, batch))

    def _by_domain(self, losses_BT: Tensor, batch: Batch) -> dict[str, Tensor]:
        if not self.domains:
            return {}
        sums = losses_BT.new_zeros(len(self.domains)).index_add(0, batch["domains"], losses_BT.detach().sum(1))
        means = (sums * batch["domain_scale"]).unbind()
        return {f"loss/{domain}": mean for domain, mean in zip(self.domains, means, strict=True)}

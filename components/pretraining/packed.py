"""Packed batches of tokens, and the next-token loss."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from components.artifacts import TRAIN, Mixture, Plan
from components.model.decoder import Decoder
from components.model.loss import cross_entropy, linear_cross_entropy
from components.pretraining.config import PretrainingConfig
from components.tokenizer.token_shards import TokenShardReader
from components.training.data_order import DataOrder
from components.training.objective import Batch, Terms
from components.training.portions import apportion, windows_of


@dataclass(frozen=True)
class PackedBatches:
    """Batches of windows of consecutive tokens, in the data order; windows may cross document boundaries.

    Window w of a portion has the tokens w·L to (w + 1)·L as inputs and the tokens shifted by one as targets, so each token is
    predicted once per epoch.
    """

    reader: TokenShardReader
    order: DataOrder
    batch_size: int
    """Sequences per global batch."""
    sequence_length: int
    """Tokens per sequence, L."""
    micro_batch_size: int
    """Maximum sequences per micro-batch."""
    document_mask: bool = False
    """Whether batches contain the document number of each token, for the document mask."""

    @classmethod
    def planned(cls, plan: Plan, token_shards: Path, config: PretrainingConfig) -> "PackedBatches":
        """The batches of a plan, in the order that results from the mixture and the seed of `config`.

        Raises:
            ArtifactError: the index or mixture of the token shards is missing or damaged.
            TrainingError: there is not enough text for the plan within the epoch limits.
        """
        reader = TokenShardReader.open(token_shards)
        windows = windows_of(reader.index, plan.sequence_length)
        portions = apportion(Mixture.read(token_shards), windows, plan.steps * plan.batch_size)
        return cls(
            reader=reader,
            order=DataOrder(portions, config.seed),
            batch_size=plan.batch_size,
            sequence_length=plan.sequence_length,
            micro_batch_size=config.training.sequences(plan.sequence_length),
            document_mask=config.document_mask,
        )

    def micro_batches(self, step: int, rank: int, world_size: int) -> Sequence[Batch]:
        """The rank's share of the global batch of `step` (from 0), in micro-batches with these tensors:

        - `tokens` and `targets`, int64 [sequences, L]
        - `domains`, int64 [sequences]: index of each sequence's domain in `order.domains`
        - `domain_scale`, fp32 [domains]: sequences of the global batch divided by those of the domain; NaN for a domain without
          any
        - `documents`, int64 [sequences, L], with the document mask: number of each token's document in the window; 0 for a
          document that started before the window
        """
        first, end = self.batch_size * rank // world_size, self.batch_size * (rank + 1) // world_size
        starts = self.window_starts(step * self.batch_size + first, end - first)
        rows = [self._row(domain, start) for domain, start in starts]
        names, scale = self.order.domains, self._domain_scale(step)
        domains = torch.tensor([names.index(domain) for domain, _ in starts], dtype=torch.int64)
        size = self.micro_batch_size
        return [
            {**self._tokens(rows[at : at + size]), "domains": domains[at : at + size], "domain_scale": scale}
            for at in range(0, len(rows), size)
        ]

    def window_starts(self, first: int, count: int) -> list[tuple[str, int]]:
        """For samples `first` to `first + count`: the domain, and the offset of the first token in its training tokens."""
        indices, windows = self.order.samples(first, count)
        chosen = ((self.order.portions[index], window) for index, window in zip(indices.tolist(), windows.tolist(), strict=True))
        return [
            (p.domain, self.reader.first_token(TRAIN, p.domain, p.language) + window * self.sequence_length)
            for p, window in chosen
        ]

    def tokens_seen(self, steps: int) -> dict[str, npt.NDArray[np.int64]]:
        """For each domain and portion, the number of tokens seen after each of the first `steps` steps: int64 [steps]."""
        counts = self.order.counts(self.batch_size * np.arange(1, steps + 1, dtype=np.int64))
        return {name: count * self.sequence_length for name, count in counts.items()}

    def _domain_scale(self, step: int) -> Tensor:
        counts = self.order.counts(self.batch_size * np.array([step, step + 1], dtype=np.int64))
        sequences = torch.tensor([float(counts[domain][1] - counts[domain][0]) for domain in self.order.domains])
        return torch.where(sequences > 0, self.batch_size / sequences, torch.nan)

    def _row(self, domain: str, start: int) -> npt.NDArray[np.int64]:
        ids = self.reader.window(TRAIN, domain, start, self.sequence_length + 1)
        return np.asarray(ids).astype(np.int64)

    def _tokens(self, rows: Sequence[npt.NDArray[np.int64]]) -> Batch:
        ids = torch.from_numpy(np.stack(rows))
        batch = {"tokens": ids[:, :-1], "targets": ids[:, 1:]}
        if not self.document_mask:
            return batch
        # Every document starts with BOS, so the number of BOS tokens so far is the number of the document
        return batch | {"documents": (batch["tokens"] == self.reader.bos).cumsum(1)}


@dataclass(frozen=True)
class NextToken:
    """The objective of pretraining: mean cross-entropy of the next token, in nats."""

    loss_rows: int | None = None
    """Number of targets whose logits are in memory at a time; None: all targets of a micro-batch."""
    domains: tuple[str, ...] = ()
    """Names of the domains that a batch's `domains` refers to, whose losses are reported; empty: none."""

    def weight(self, batch: Batch) -> float:
        """Number of target tokens."""
        return batch["targets"].numel()

    def __call__(self, model: nn.Module, batch: Batch) -> Terms:
        """The loss summed over the micro-batch. `loss/DOMAIN` is the mean over the domain's targets in the global batch."""
        decoder, targets_BT, documents_BS = cast(Decoder, model), batch["targets"], batch.get("documents")
        if self.loss_rows is None:
            logits_BTV = model(batch["tokens"], documents_BS=documents_BS)
            losses: Tensor = cross_entropy(logits_BTV, targets_BT, reduction="none", vocabulary=decoder.vocabulary)
            return Terms(loss=losses.sum(), figures=self._by_domain(losses, batch))
        hidden_BTD = model(batch["tokens"], documents_BS=documents_BS, with_head=False)
        head_VD = decoder.head.weight
        total, losses = linear_cross_entropy(hidden_BTD, head_VD, targets_BT, rows=self.loss_rows, vocabulary=decoder.vocabulary)
        return Terms(loss=total, figures=self._by_domain(losses, batch))

    def _by_domain(self, losses_BT: Tensor, batch: Batch) -> dict[str, Tensor]:
        if not self.domains:
            return {}
        sums = losses_BT.new_zeros(len(self.domains)).index_add(0, batch["domains"], losses_BT.detach().sum(1))
        means = (sums * batch["domain_scale"]).unbind()
        return {f"loss/{domain}": mean for domain, mean in zip(self.domains, means, strict=True)}

"""Measures bits per byte of held-out text during training."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from torch import nn

from components.artifacts import VALIDATION
from components.generation.bits_per_byte import bits_per_byte, mean
from components.model.decoder import Decoder
from components.tokenizer.token_shards import TokenShardReader

NAME = "bits_per_byte"


@dataclass(frozen=True)
class HeldOutBitsPerByte:
    """Measures bits per byte on a fixed sample of the validation split."""

    reader: TokenShardReader
    shares: Mapping[str, float]
    """Weight of each domain in the mean: its share in the mixture."""
    max_bytes: int
    """Maximum UTF-8 bytes of the sample per domain."""
    seed: int
    """Random seed of the sample."""

    def __call__(self, model: nn.Module) -> Mapping[str, float]:
        """`bits_per_byte/DOMAIN` for each domain with long enough documents, and `bits_per_byte`, their weighted mean."""
        decoder = cast(Decoder, model)
        domains = [domain for domain in self.reader.domains(VALIDATION) if domain in self.shares]
        figures = {
            domain: bits_per_byte(decoder, self.reader, VALIDATION, domain, max_bytes=self.max_bytes, seed=self.seed)
            for domain in domains
        }
        measured = {domain: figure for domain, figure in figures.items() if figure.documents}
        if not measured:
            return {}
        return {f"{NAME}/{domain}": figure.value for domain, figure in measured.items()} | {NAME: mean(measured, self.shares)}

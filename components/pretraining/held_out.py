"""Bits per byte of held-out text, measured while the model trains."""

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
    """A fixed sample of the validation split: the same documents at every measurement."""

    reader: TokenShardReader
    shares: Mapping[str, float]
    """Weights of the domains in the mean: the mixture's."""
    max_bytes: int
    """UTF-8 bytes of each domain."""
    seed: int

    def __call__(self, model: nn.Module) -> Mapping[str, float]:
        """`bits_per_byte/DOMAIN` for each domain with documents long enough, and their weighted mean `bits_per_byte`."""
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

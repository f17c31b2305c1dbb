"""The law of a text: the bits per byte that a training ends with, by model scale, vocabulary and tokens.

L_V(S, D) = E + A_V / S^alpha + B_V / D^beta for each vocabulary V. S counts non-embedding FLOPs per token (arXiv 2401.02954,
section 3.1), and D counts tokens of that vocabulary. E, alpha and beta are the same for every vocabulary: bits per byte of a text
has one lower limit, however the text is divided into tokens. Tao et al. (arXiv 2407.13623, section 4.3) add a power law of the
vocabulary's parameters instead. Here each vocabulary has its own A and B: no form is assumed, and none is interpolated.
"""

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar, Final

from components.artifacts import JsonFile, ModelShape, Prediction
from components.errors import ConfigError, require
from components.flops import scale_of
from components.scaling.laws.law import Law, PowerLaw
from components.scaling.laws.prediction import predict

FIGURE: Final = "bits_per_byte"
"""What the law of a text predicts: bits per byte of held-out text, the mean over domains weighted by the mixture's shares."""

SCALE: Final = "non_embedding_flops_per_token"
"""What its model scale S counts."""


@dataclass(frozen=True, kw_only=True, slots=True)
class VocabularyLaw:
    """The law of one vocabulary."""

    vocab_size: int
    """Rows of the embedding."""
    bytes_per_token: float
    """UTF-8 bytes of training text per token of this vocabulary, weighted by the mixture."""
    law: Law
    """Predicts bits per byte by non-embedding FLOPs per token and tokens; its `runs` are those of this vocabulary."""

    def __post_init__(self) -> None:
        require(self.vocab_size > 0, self, "vocab_size", self.vocab_size, "a positive integer")
        sane = math.isfinite(self.bytes_per_token) and self.bytes_per_token > 0
        require(sane, self, "bytes_per_token", self.bytes_per_token, "a positive number")
        for name, value, expected in (("figure", self.law.figure, FIGURE), ("scale", self.law.scale, SCALE)):
            require(value == expected, self, f"law.{name}", value, expected)
        require(self.law.loss is not None, self, "law.loss", None, "a loss: without one the law predicts nothing")

    def predict(self, scale: float, tokens: float) -> Prediction:
        """Bits per byte of a training of model scale S (non-embedding FLOPs per token) on D tokens, with its 95 % interval."""
        assert self.law.loss is not None
        return predict(self.law.loss, scale, tokens)


@dataclass(frozen=True, kw_only=True, slots=True)
class TextLaw(JsonFile):
    """The law of a text over several vocabularies, with the laws of batch size and learning rate."""

    NAME: ClassVar[str] = "text-law.json"
    STEP: ClassVar[str] = "the step text_law of a sweep"

    name: str
    """Name of the sweep that fitted it."""
    source: str
    """How it was fitted."""
    data: str
    """The text that it was fitted on: it holds for no other."""
    vocabularies: tuple[VocabularyLaw, ...]
    """The law of each vocabulary, by rising size."""
    sequence_length: int
    """Tokens in a sequence of the training runs that it was fitted to."""
    aspect: tuple[float, float]
    """Smallest and largest d_model / n_layer of the models that it was fitted to."""
    batch_tokens: PowerLaw | None = None
    """Optimal batch in tokens by C = S·D FLOPs; None: it was not fitted."""
    learning_rate: PowerLaw | None = None
    """Optimal maximum learning rate by C = S·D FLOPs; None: it was not fitted."""

    def __post_init__(self) -> None:
        require(self.sequence_length > 0, self, "sequence_length", self.sequence_length, "a positive integer")
        ordered = all(map(math.isfinite, self.aspect)) and 0 < self.aspect[0] <= self.aspect[1]
        require(ordered, self, "aspect", self.aspect, "two rising positive numbers")
        sizes = [vocabulary.vocab_size for vocabulary in self.vocabularies]
        require(bool(sizes) and sizes == sorted(set(sizes)), self, "vocabularies", sizes, "one or more, by rising vocab_size")
        lengths = [vocabulary.bytes_per_token for vocabulary in self.vocabularies]
        longer = all(shorter <= longer for shorter, longer in pairwise(lengths))
        require(longer, self, "bytes_per_token", lengths, "numbers that do not fall as the vocabulary grows")

    def vocabulary(self, vocab_size: int) -> VocabularyLaw:
        """The law of the vocabulary of that size. Raises `ConfigError` where none was fitted; it does not interpolate."""
        by_size = {vocabulary.vocab_size: vocabulary for vocabulary in self.vocabularies}
        if vocab_size not in by_size:
            sizes = ", ".join(map(str, by_size))
            raise ConfigError(f"the law {self.name} was not fitted for a vocabulary of {vocab_size}; allowed: {sizes}")
        return by_size[vocab_size]

    def predict(self, shape: ModelShape, tokens: float, sequence_length: int | None = None) -> Prediction:
        """Bits per byte of a training run of `shape` on D tokens in sequences of `sequence_length`, by default those of the law.

        Raises:
            ConfigError: no law was fitted for the vocabulary of the shape.
        """
        scale = scale_of(shape, sequence_length or self.sequence_length, SCALE)
        return self.vocabulary(shape.vocab_size).predict(scale, tokens)

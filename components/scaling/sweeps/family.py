"""Models of one family, small enough for a sweep, and how much of a budget each of them gets."""

import math
from dataclasses import dataclass

from components.artifacts import ModelShape, Plan
from components.errors import require
from components.flops import non_embedding_flops_per_token, parameters_by_component, training_memory

MIN_STEPS = 50
"""Steps of a training run: in fewer, the stages of the multi-step schedule hardly exist."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Family:
    """Models that differ in their width, and in their depth only as far as they keep their proportions."""

    n_layer: int
    """Layers of every model; with `aspect`, of the narrow ones."""
    vocab_size: int
    """Vocabulary of the tokenizer. M does not count embeddings and head, so a small one costs least time that M leaves out."""
    sequence_length: int
    """Tokens in a sequence; also the context."""
    aspect: float | None = None
    """d_model / n_layer that wide models keep, to the nearest layer: a model gets more than `n_layer` layers where its width
    allows. None: every model has `n_layer` layers."""
    head_width: int = 16
    """Approximate width of an attention head. Wider heads are faster; narrow models have no room for them."""
    init_std: float = 0.02
    """Standard deviation of the initial weights."""
    warmup_steps: int = 20
    """Steps of linear warm-up, the same in every training run, so that they can share trunks."""

    def __post_init__(self) -> None:
        for name in ("n_layer", "vocab_size", "sequence_length", "head_width", "init_std"):
            require(getattr(self, name) > 0, self, name, getattr(self, name), "a positive number")
        require(self.aspect is None or self.aspect > 0, self, "aspect", self.aspect, "a positive number or None")
        require(self.warmup_steps >= 0, self, "warmup_steps", self.warmup_steps, "0 or more")

    def shape(self, width: int) -> ModelShape:
        """The model of a width: its FFN is 8/3 as wide, rounded to a multiple of 8; heads are about `head_width` wide."""
        heads = max(1, math.floor(width / self.head_width + 0.5))
        heads = next(count for count in range(heads, 0, -1) if width % (2 * count) == 0)
        return ModelShape(
            n_layer=self._layers(width),
            d_model=width,
            n_head=heads,
            n_kv_head=heads,
            d_ffn=8 * max(1, math.floor(width / 3 + 0.5)),
            vocab_size=self.vocab_size,
            context=self.sequence_length,
        )

    def _layers(self, width: int) -> int:
        return self.n_layer if self.aspect is None else max(self.n_layer, math.floor(width / self.aspect + 0.5))

    def scale(self, width: int) -> int:
        """M of the model of a width."""
        return non_embedding_flops_per_token(self.shape(width), self.sequence_length)

    def flops(self, width: int) -> int:
        """M of the model of a width, and 6 FLOPs per token for each weight of its head, which M leaves out."""
        return self.scale(width) + 6 * parameters_by_component(self.shape(width))["head"]

    def nearest_width(self, scale: float) -> int:
        """The width, a multiple of 4, whose M is nearest to `scale`."""
        return min(range(8, 4096, 4), key=lambda width: abs(math.log(self.scale(width) / scale)))

    def steps(self, compute: float, width: int, batch_size: int) -> int:
        """Steps that spend a budget on a model; at least `MIN_STEPS` and the warm-up. Raises `ConfigError` for fewer."""
        steps = round(compute / self.scale(width) / (batch_size * self.sequence_length))
        enough = max(MIN_STEPS, self.warmup_steps)
        what = f"{compute:.3g} FLOPs on a width of {width} in batches of {batch_size}: {steps} steps"
        require(steps >= enough, self, "steps", what, f"at least {enough}: a larger budget, or a smaller model or batch")
        return steps

    def plan(self, compute: float, width: int, *, batch_size: int, learning_rate: float) -> Plan:
        """The training that spends a budget, to within half a batch, on the model of a width."""
        shape, steps = self.shape(width), self.steps(compute, width, batch_size)
        tokens = steps * batch_size * self.sequence_length
        memory = training_memory(shape, micro_batch_size=batch_size, sequence_length=self.sequence_length, precision="fp32")
        return Plan(
            shape=shape,
            tokens=tokens,
            batch_size=batch_size,
            sequence_length=self.sequence_length,
            steps=steps,
            learning_rate=learning_rate,
            init_std=self.init_std,
            warmup_steps=self.warmup_steps,
            compute=float(self.scale(width) * tokens),
            memory_bytes=sum(memory.values()),
            law={},
        )

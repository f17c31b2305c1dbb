"""The training that ends best after a given time, by the law of a text and the speed of a machine. Pure arithmetic."""

import dataclasses
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

from components.artifacts import ModelShape, Prediction
from components.errors import ConfigError, require
from components.flops import model_flops_per_token, scale_of, training_memory
from components.scaling.laws.law import PowerLaw
from components.scaling.laws.prediction import predict
from components.scaling.laws.published import LAWS
from components.scaling.laws.text_law import SCALE, TextLaw, VocabularyLaw
from components.scaling.planning.notes import WARMUP_SHARE
from components.scaling.planning.shapes import small_shapes

MIN_STEPS = 100
"""Optimizer steps of a training run, at least: each tenth of the multi-step schedule then has ten."""

MAX_EPOCHS = 4.0
"""How often a text may be repeated: up to 4 epochs teach almost as much as new text (arXiv 2305.16264, section 5)."""

MORE_TIME = 1.1
"""The factor of the question what more time would bring."""

WORTH_SAYING = 1e-3
"""Bits per byte: a limit that costs less does not limit."""


class Speed(Protocol):
    """How fast something trains."""

    def tokens_per_second(self, shape: ModelShape, *, sequence_length: int, batch_size: int) -> float:
        """Training tokens per second with `batch_size` sequences in a step."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class NominalSpeed:
    """A share of the peak of accelerators, whatever the shape."""

    flops_per_second: float

    def tokens_per_second(self, shape: ModelShape, *, sequence_length: int, batch_size: int) -> float:
        """Training tokens per second."""
        return self.flops_per_second / model_flops_per_token(shape, sequence_length)


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """What a training run must keep within."""

    seconds: float
    """Time of the training."""
    text_bytes: float | None = None
    """UTF-8 bytes of training text; None: there is as much as it takes."""
    max_epochs: float = MAX_EPOCHS
    """How often the text may be repeated."""
    memory_bytes: float | None = None
    """Memory for weights, gradients, optimizer and activations; None: any."""
    max_extrapolation: float | None = 4.0
    """Largest model scale, as a multiple of the largest that the law was fitted to, and smallest, as a fraction; None: any."""
    micro_batch_tokens: int = 1024
    """Tokens in a forward and backward pass, for the memory."""
    precision: str = "fp32"
    """Of the passes, for the memory: a key of `components.flops.BYTES`."""

    def __post_init__(self) -> None:
        require(math.isfinite(self.seconds) and self.seconds > 0, self, "seconds", self.seconds, "a positive number")
        for name in ("text_bytes", "memory_bytes", "max_extrapolation"):
            value = getattr(self, name)
            require(value is None or value > 0, self, name, value, "a positive number or None")
        require(self.max_epochs > 0, self, "max_epochs", self.max_epochs, "a positive number")


@dataclass(frozen=True, kw_only=True, slots=True)
class TimedPlan:
    """A training run and what it is expected to end with."""

    shape: ModelShape
    tokens: int
    batch_size: int
    """Sequences in a batch."""
    sequence_length: int
    """Tokens in a sequence."""
    steps: int
    warmup_steps: int
    learning_rate: float
    """Maximum learning rate."""
    bits_per_byte: Prediction
    """What the law predicts, with its 95 % interval."""
    seconds: float
    """Expected time of the training."""
    tokens_per_second: float
    seen_bytes: float
    """UTF-8 bytes of text in the tokens; text that is seen again counts again."""
    epochs: float | None
    """How often the text is seen; None: its size is not known."""
    memory_bytes: int
    limits: dict[str, float] = field(default_factory=dict)
    """Bits per byte that would be gained without a limit, by its name ("text", "memory", "range"), and by a tenth more time
    ("time"); only what limits."""
    notes: tuple[str, ...] = ()
    """What a reader must know, such as that the law extrapolates here."""


def timed(law: TextLaw, speed: Speed, limits: Limits) -> TimedPlan:
    """The training that ends with the fewest bits per byte within the limits, what limits it, and what more time would bring.

    Every vocabulary of the law is tried with every shape in the range of proportions that it was fitted on. The tokens are
    what the machine trains in the time, the batch and the learning rate what the law says of the FLOPs.

    Raises:
        ConfigError: no training of `MIN_STEPS` steps fits the limits.
    """
    best = _best(law, speed, limits)
    wider = {
        "time": dataclasses.replace(limits, seconds=MORE_TIME * limits.seconds),
        "text": dataclasses.replace(limits, text_bytes=None),
        "memory": dataclasses.replace(limits, memory_bytes=None),
        "range": dataclasses.replace(limits, max_extrapolation=None),
    }
    gains = {name: best.bits - _best(law, speed, more).bits for name, more in wider.items() if more != limits}
    felt = {name: gain for name, gain in gains.items() if name == "time" or gain > WORTH_SAYING}
    return dataclasses.replace(_plan(law, best, limits), limits=felt, notes=_notes(law, best))


@dataclass(frozen=True, kw_only=True, slots=True)
class _Candidate:
    """A training run with its expected bits per byte."""

    vocabulary: VocabularyLaw
    shape: ModelShape
    scale: float
    """Non-embedding FLOPs per token."""
    batch_size: int
    steps: int
    length: int
    tokens_per_second: float
    bits: float

    @property
    def tokens(self) -> int:
        return self.steps * self.batch_size * self.length


def _best(law: TextLaw, speed: Speed, limits: Limits) -> _Candidate:
    best = min(_candidates(law, speed, limits), key=lambda candidate: candidate.bits, default=None)
    if best is None:
        raise ConfigError(
            f"no training of {MIN_STEPS} steps fits in {limits.seconds:.0f} s{_other_limits(limits)}; allowed: more time, or "
            "wider limits"
        )
    return best


def _other_limits(limits: Limits) -> str:
    text = "" if limits.text_bytes is None else f", {limits.max_epochs:g} epochs of {limits.text_bytes / 1e6:,.1f} MB of text"
    memory = "" if limits.memory_bytes is None else f", {limits.memory_bytes / 2**30:.1f} GiB of memory"
    return text + memory


def _candidates(law: TextLaw, speed: Speed, limits: Limits) -> Iterator[_Candidate]:
    for vocabulary in law.vocabularies:
        low, high = _scales(vocabulary, limits.max_extrapolation)
        for shape in small_shapes(vocabulary.vocab_size, law.sequence_length, law.aspect):
            scale = scale_of(shape, law.sequence_length, SCALE)
            if not low <= scale <= high or _memory(shape, law.sequence_length, limits) > (limits.memory_bytes or math.inf):
                continue
            candidate = _candidate(law, vocabulary, shape, scale, speed, limits)
            if candidate is not None:
                yield candidate


def _scales(vocabulary: VocabularyLaw, beyond: float | None) -> tuple[float, float]:
    """The model scales that the law of a vocabulary is trusted for."""
    fitted = [scale for scale, *_ in vocabulary.law.runs]
    return (min(fitted) / beyond, max(fitted) * beyond) if fitted and beyond is not None else (0.0, math.inf)


def _candidate(
    law: TextLaw, vocabulary: VocabularyLaw, shape: ModelShape, scale: float, speed: Speed, limits: Limits
) -> _Candidate | None:
    """The training of a shape that uses the time, or the text; None: it would be too short."""
    length = law.sequence_length
    max_tokens = math.inf if limits.text_bytes is None else limits.max_epochs * limits.text_bytes / vocabulary.bytes_per_token
    batch_size = 1
    # The batch follows from the FLOPs, these from the speed, and the speed a little from the batch
    for _ in range(4):
        rate = speed.tokens_per_second(shape, sequence_length=length, batch_size=batch_size)
        tokens = min(max_tokens, limits.seconds * rate)
        batch_size = _batch_size(min(_batch_law(law).at(scale * tokens), tokens / MIN_STEPS) / length, limits, length)
    rate = speed.tokens_per_second(shape, sequence_length=length, batch_size=batch_size)
    steps = int(min(max_tokens, limits.seconds * rate) / (batch_size * length))
    if steps < MIN_STEPS:
        return None
    loss = vocabulary.law.loss
    assert loss is not None
    return _Candidate(
        vocabulary=vocabulary,
        shape=shape,
        scale=scale,
        batch_size=batch_size,
        steps=steps,
        length=length,
        tokens_per_second=rate,
        bits=loss.at(scale, steps * batch_size * length),
    )


def _batch_size(sequences: float, limits: Limits, length: int) -> int:
    """Whole sequences, and whole micro-batches where there are several: one that is not full takes as many calls."""
    full = max(1, limits.micro_batch_tokens // length)
    return max(1, round(sequences)) if sequences < full else full * round(sequences / full)


def _plan(law: TextLaw, best: _Candidate, limits: Limits) -> TimedPlan:
    seen = best.tokens * best.vocabulary.bytes_per_token
    assert best.vocabulary.law.loss is not None
    return TimedPlan(
        shape=best.shape,
        tokens=best.tokens,
        batch_size=best.batch_size,
        sequence_length=best.length,
        steps=best.steps,
        warmup_steps=int(WARMUP_SHARE * best.steps),
        learning_rate=(law.learning_rate or _deepseek("learning_rate")).at(best.scale * best.tokens),
        bits_per_byte=predict(best.vocabulary.law.loss, best.scale, best.tokens),
        seconds=best.tokens / best.tokens_per_second,
        tokens_per_second=best.tokens_per_second,
        seen_bytes=seen,
        epochs=None if limits.text_bytes is None else seen / limits.text_bytes,
        memory_bytes=_memory(best.shape, best.length, limits),
    )


def _memory(shape: ModelShape, length: int, limits: Limits) -> int:
    sequences = max(1, limits.micro_batch_tokens // length)
    memory = training_memory(shape, micro_batch_size=sequences, sequence_length=length, precision=limits.precision)
    return sum(memory.values())


def _batch_law(law: TextLaw) -> PowerLaw:
    return law.batch_tokens or _deepseek("batch_tokens")


def _deepseek(name: str) -> PowerLaw:
    power = getattr(LAWS["deepseek"], name)
    assert isinstance(power, PowerLaw)
    return power


def _notes(law: TextLaw, best: _Candidate) -> tuple[str, ...]:
    """Where the law extrapolates, and what it does not give."""
    runs = best.vocabulary.law.runs
    notes = []
    for what, value, column in (("FLOPs per token", best.scale, 0), ("tokens", float(best.tokens), 1)):
        fitted = [run[column] for run in runs]
        if fitted and not min(fitted) <= value <= max(fitted):
            factor = value / max(fitted) if value > max(fitted) else min(fitted) / value
            which = "largest" if value > max(fitted) else "smallest"
            sense = "above" if value > max(fitted) else "below"
            notes.append(
                f"{value:.3g} {what} are {factor:.1f} times {sense} the {which} that the law was fitted on: it extrapolates"
            )
    names = {"batch_tokens": "batch size", "learning_rate": "learning rate"}
    lacking = [words for name, words in names.items() if getattr(law, name) is None]
    if lacking:
        notes.append(f"the law {law.name} has no {' and no '.join(lacking)}; DeepSeek LLM's is used, far below its range")
    return tuple(notes)

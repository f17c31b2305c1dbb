"""From a compute budget to a training plan: the law's values, what was chosen instead, and what a reader must know."""

import dataclasses
import json
from pathlib import Path
from typing import Any

from components.artifacts import Mixture, ModelShape, Plan
from components.errors import ConfigError, DamagedArtifact, MissingArtifact
from components.flops import non_embedding_flops_per_token, parameters, six_n
from components.scaling.config import Choices, ScalingConfig, require_budget
from components.scaling.laws.files import find_law, write_law
from components.scaling.laws.law import SCALES, Law, scale_of
from components.scaling.laws.prediction import predict
from components.scaling.laws.published import LAWS, PLANNING, can_plan
from components.scaling.planning.layouts import memory_per_rank
from components.scaling.planning.notes import WARMUP_SHARE, budget_notes, epoch_notes
from components.scaling.planning.shapes import nearest_shape
from components.training.parallel.layout import ParallelLayout
from components.training.portions import apportion, explain, tokens_of, windows_of

SEQUENCE_LENGTH = 4096
"""Tokens (paper, table 2)."""

INIT_STD = 0.006
"""Paper, section 2.3."""

LAW = "law.json"
"""Beside a plan with a prediction: the law that predicts it."""

WARMUP_STEPS = 2000
"""Paper, section 2.3."""

LEAST_STEPS = 100
"""Where the law's batch leaves fewer steps the batch shrinks: each tenth of the multi-step schedule then has ten."""


def plan(
    config: ScalingConfig, *, choices: Choices, tokenizer: Path, token_shards: Path, output: Path, law: Law | None = None
) -> dict[str, Any]:
    """Write `plan.json` (a `Plan`) and `metrics/plan.parquet` (what was chosen, beside the law); the headline figures.

    A law that predicts a loss is written beside them, so that the finished training can be held against it.

    Args:
        config: budget and law.
        choices: what is decided already.
        tokenizer: a tokenizer artifact; the shape's vocabulary is its own.
        token_shards: the training tokens, for the epochs that the plan needs.
        output: an empty directory.
        law: used instead of the one that the config names.

    Raises:
        ConfigError: a budget or choice that makes no sense, or a chosen shape of another vocabulary than the tokenizer's.
        TrainingError: the epoch limits of the mixture do not allow so many tokens.
        MissingArtifact, DamagedArtifact: a file of the tokenizer or of the shards is missing or unreadable.
    """
    law = law or find_law(config.law)
    made = make_plan(config, choices, _read(tokenizer / "special_tokens.json")["vocab_size"], law=law)
    index, mixture = _read(token_shards / "index.json"), Mixture(**_read(token_shards / "mixture.json"))
    portions = apportion(mixture, windows_of(index, made.sequence_length), made.steps * made.batch_size)
    notes = (*made.notes, *epoch_notes(made.tokens, mixture, tokens_of(index)), *explain(portions))
    made = dataclasses.replace(made, notes=notes)
    _write(made, law, output)
    if made.prediction is not None:
        write_law(law, output / LAW)
    return _figures(made)


def read_plan(directory: Path) -> Plan:
    """The plan that `plan` wrote there. Raises `MissingArtifact` or `DamagedArtifact`."""
    raw = _read(directory / "plan.json")
    return Plan(**raw | {"shape": ModelShape(**raw["shape"]), "notes": tuple(raw["notes"])})


def plan_for(compute: float, choices: Choices, vocab_size: int, law: str = "deepseek") -> Plan:
    """The plan for a budget, without a tokenizer or data. Raises `ConfigError` as `plan` does."""
    return make_plan(ScalingConfig(compute=compute, law=law), choices, vocab_size)


def make_plan(
    config: ScalingConfig,
    choices: Choices,
    vocab_size: int,
    *,
    law: Law | None = None,
    layout: ParallelLayout | None = None,
) -> Plan:
    """The law's values at the budget, with what was chosen in their place. See `plan`.

    Args:
        config: budget and law.
        choices: what is decided already.
        vocab_size: of the shape that is looked for, and of the chosen one.
        law: used instead of the one that the config names, such as one read from a file.
        layout: what shape and batch must divide by; None: the layout of `choices`, and any batch.
    """
    _refuse_another_vocabulary(choices, vocab_size)
    length = choices.sequence_length or (choices.shape.context if choices.shape else SEQUENCE_LENGTH)
    law = law or find_law(config.law)
    budget = _budget(config, choices, length, law)
    says, parallel = law_values(law, budget), layout or choices.layout.over(choices.workers)
    shape = choices.shape or nearest_shape(
        budget / SCALES[law.scale] / choices.tokens if choices.tokens else says[law.scale],
        vocab_size=vocab_size,
        sequence_length=length,
        scale=law.scale,
        layout=parallel,
    )
    scale = scale_of(shape, length, law.scale)
    wanted_tokens = choices.tokens or budget / (SCALES[law.scale] * scale)
    batch_size = choices.batch_size or _batch_size(says["batch_tokens"], wanted_tokens, length, layout.replicas if layout else 1)
    steps = _steps(wanted_tokens, batch_size, length)
    tokens = steps * batch_size * length
    made = Plan(
        shape=shape,
        tokens=tokens,
        batch_size=batch_size,
        sequence_length=length,
        steps=steps,
        learning_rate=choices.learning_rate or says["learning_rate"],
        init_std=choices.init_std or INIT_STD,
        warmup_steps=_warmup_steps(choices.warmup_steps, steps),
        compute=float(non_embedding_flops_per_token(shape, length) * tokens),
        memory_bytes=memory_per_rank(
            parallel,
            shape,
            micro_batch_size=min(choices.micro_batch_size, batch_size),
            sequence_length=length,
            precision=choices.precision,
            checkpointing=choices.activation_checkpointing,
        ),
        law=says,
        flops_per_token=flops_per_token(shape, length),
        prediction=predict(law.loss, scale, tokens) if law.loss else None,
        predicted_figure=law.figure,
    )
    return dataclasses.replace(made, notes=budget_notes(made, law, config.compute))


def law_values(law: Law, compute: float) -> dict[str, float]:
    """What a law that can plan says for a budget: model scale, tokens, batch and learning rate.

    Where it gives no batch or learning rate, DeepSeek's stand in. Raises `ConfigError` for a law of which only exponents
    are known.
    """
    if not can_plan(law):
        raise ConfigError(
            f"of the law {law.name} only exponents were published ({law.source}); it serves comparison only. "
            f"Plan by one of: {', '.join(PLANNING)}, or by a law file"
        )
    usual = LAWS["deepseek"]
    powers = (law.model, law.tokens, law.batch_tokens or usual.batch_tokens, law.learning_rate or usual.learning_rate)
    names = (law.scale, "tokens", "batch_tokens", "learning_rate")
    return {name: power.at(compute) for name, power in zip(names, powers, strict=True) if power is not None}


def flops_per_token(shape: ModelShape, sequence_length: int) -> dict[str, float]:
    """Training FLOPs of one token counted in three ways, and the two 6N as multiples of the paper's M (section 3.1, table 3)."""
    scale = float(non_embedding_flops_per_token(shape, sequence_length))
    without, with_embeddings = float(six_n(shape)), float(six_n(shape, with_embeddings=True))
    return {
        "non_embedding": scale,
        "six_n": without,
        "six_n_with_embeddings": with_embeddings,
        "six_n_ratio": without / scale,
        "six_n_with_embeddings_ratio": with_embeddings / scale,
    }


def _budget(config: ScalingConfig, choices: Choices, length: int, law: Law) -> float:
    """FLOPs, as the law counts them, that it is asked about: those of chosen shape and tokens, else the configured budget."""
    if choices.shape is not None and choices.tokens is not None:
        budget = SCALES[law.scale] * scale_of(choices.shape, length, law.scale) * choices.tokens
        require_budget(config, budget)
        return budget
    if config.compute is None:
        raise ConfigError("ScalingConfig.compute is None; allowed: a budget in FLOPs, or None with a chosen shape and tokens")
    return config.compute


def _batch_size(batch_tokens: float, tokens: float, length: int, replicas: int) -> int:
    """Sequences: the law's batch, or less where it would leave fewer than `LEAST_STEPS` steps; a multiple of the replicas."""
    return replicas * max(1, round(min(batch_tokens, tokens / LEAST_STEPS) / length / replicas))


def _steps(tokens: float, batch_size: int, length: int) -> int:
    steps = round(tokens / (batch_size * length))
    if steps < 1:
        raise ConfigError(
            f"{tokens:.0f} tokens are less than one batch of {batch_size} x {length}; allowed: a larger budget or number of "
            "tokens, or a smaller batch, sequence or shape"
        )
    return steps


def _warmup_steps(chosen: int | None, steps: int) -> int:
    if chosen is not None and chosen > steps:
        raise ConfigError(f"warmup_steps is {chosen}; allowed: at most the {steps} steps of the plan")
    return min(WARMUP_STEPS, int(WARMUP_SHARE * steps)) if chosen is None else chosen


def _refuse_another_vocabulary(choices: Choices, vocab_size: int) -> None:
    if choices.shape is not None and choices.shape.vocab_size != vocab_size:
        raise ConfigError(
            f"the chosen shape has a vocabulary of {choices.shape.vocab_size}; allowed: the tokenizer's {vocab_size}"
        )


def _figures(made: Plan) -> dict[str, Any]:
    return {
        "parameters": parameters(made.shape),
        "shape": _shape_in_words(made.shape),
        **{name: getattr(made, name) for name in ("tokens", "steps", "batch_size", "sequence_length", "learning_rate")},
        "compute": made.compute,
        "memory_bytes": made.memory_bytes,
        **({"prediction": {"figure": made.predicted_figure, **made.prediction}} if made.prediction else {}),
        "notes": list(made.notes),
    }


def _shape_in_words(shape: ModelShape) -> str:
    return f"{shape.n_layer} layers of width {shape.d_model}, {shape.n_head} heads"


def _write(made: Plan, law: Law, output: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    (output / "plan.json").write_text(json.dumps(dataclasses.asdict(made), indent=1, sort_keys=True, ensure_ascii=False) + "\n")
    scale = scale_of(made.shape, made.sequence_length, law.scale)
    chosen = {
        "compute": made.compute,
        law.scale: scale,
        "tokens": made.tokens,
        "batch_tokens": made.batch_size * made.sequence_length,
        "learning_rate": made.learning_rate,
        "init_std": made.init_std,
        "warmup_steps": made.warmup_steps,
    }
    says = {
        **made.law,
        "compute": SCALES[law.scale] * made.law[law.scale] * made.law["tokens"],
        "init_std": INIT_STD,
        "warmup_steps": WARMUP_STEPS,
    }
    rows = [{"name": name, "chosen": float(value), "law": float(says[name])} for name, value in chosen.items()]
    schema = pa.schema([("name", pa.string()), ("chosen", pa.float64()), ("law", pa.float64())])
    (output / "metrics").mkdir()
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), output / "metrics" / "plan.parquet", compression="zstd")


def _read(path: Path) -> dict[str, Any]:
    try:
        value: dict[str, Any] = json.loads(path.read_bytes())
    except OSError as error:
        raise MissingArtifact(f"{path}: missing; make the artifact again") from error
    except ValueError as error:
        raise DamagedArtifact(f"{path}: not JSON ({error}); make the artifact again") from error
    return value

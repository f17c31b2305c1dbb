"""From a compute budget to a training plan: the law's values, what was chosen instead, and what a reader must know."""

import dataclasses
import json
from pathlib import Path
from typing import Any

from components.artifacts import Mixture, ModelShape, Plan
from components.errors import ConfigError, DamagedArtifact, MissingArtifact
from components.flops import non_embedding_flops_per_token, parameters, training_memory_bytes
from components.scaling.config import Choices, ScalingConfig, require_budget
from components.scaling.laws import LAWS, Law
from components.scaling.notes import WARMUP_SHARE, budget_notes, epoch_notes
from components.scaling.shapes import nearest_shape

SEQUENCE_LENGTH = 4096
"""Tokens (paper, table 2)."""

INIT_STD = 0.006
"""Paper, section 2.3."""

WARMUP_STEPS = 2000
"""Paper, section 2.3."""

LEAST_STEPS = 100
"""Where the law's batch leaves fewer steps the batch shrinks: each tenth of the multi-step schedule then has ten."""


def plan(config: ScalingConfig, *, choices: Choices, tokenizer: Path, token_shards: Path, output: Path) -> dict[str, Any]:
    """Write `plan.json` (a `Plan`) and `metrics/plan.parquet` (what was chosen, beside the law); the headline figures.

    Args:
        config: budget and law.
        choices: what is decided already.
        tokenizer: a tokenizer artifact; the shape's vocabulary is its own.
        token_shards: the training tokens, for the epochs that the plan needs.
        output: an empty directory.

    Raises:
        ConfigError: a budget or choice that makes no sense, or a chosen shape of another vocabulary than the tokenizer's.
        MissingArtifact, DamagedArtifact: a file of the tokenizer or of the shards is missing or unreadable.
    """
    made = make_plan(config, choices, _read(tokenizer / "special_tokens.json")["vocab_size"])
    index, mixture = _read(token_shards / "index.json"), Mixture(**_read(token_shards / "mixture.json"))
    available = {domain: entry["tokens"] for domain, entry in index["splits"]["train"].items()}
    made = dataclasses.replace(made, notes=made.notes + epoch_notes(made.tokens, mixture, available))
    _write(made, output)
    return _figures(made)


def plan_for(compute: float, choices: Choices, vocab_size: int, law: str = "deepseek") -> Plan:
    """The plan for a budget, without a tokenizer or data. Raises `ConfigError` as `plan` does."""
    return make_plan(ScalingConfig(compute=compute, law=law), choices, vocab_size)


def make_plan(config: ScalingConfig, choices: Choices, vocab_size: int) -> Plan:
    """The law's values at the budget, with what was chosen in their place. See `plan`."""
    _refuse_another_vocabulary(choices, vocab_size)
    length = choices.sequence_length or (choices.shape.context if choices.shape else SEQUENCE_LENGTH)
    budget, law = _budget(config, choices, length), LAWS[config.law]
    says = law_values(law, budget)
    shape = choices.shape or nearest_shape(
        budget / choices.tokens if choices.tokens else says["non_embedding_flops_per_token"],
        vocab_size=vocab_size,
        sequence_length=length,
    )
    scale = non_embedding_flops_per_token(shape, length)
    wanted_tokens = choices.tokens or budget / scale
    batch_size = choices.batch_size or _batch_size(says["batch_tokens"], wanted_tokens, length)
    steps = _steps(wanted_tokens, batch_size, length)
    made = Plan(
        shape=shape,
        tokens=steps * batch_size * length,
        batch_size=batch_size,
        sequence_length=length,
        steps=steps,
        learning_rate=choices.learning_rate or says["learning_rate"],
        init_std=choices.init_std or INIT_STD,
        warmup_steps=_warmup_steps(choices.warmup_steps, steps),
        compute=float(scale * steps * batch_size * length),
        memory_bytes=training_memory_bytes(
            shape,
            micro_batch_size=min(choices.micro_batch_size, batch_size),
            sequence_length=length,
            workers=choices.workers,
            precision=choices.precision,
        ),
        law=says,
    )
    return dataclasses.replace(made, notes=budget_notes(made, law, config.compute))


def law_values(law: Law, compute: float) -> dict[str, float]:
    """What a law that can plan says for a budget."""
    if law.batch_tokens is None or law.learning_rate is None:
        raise ConfigError(f"the law {law.name} gives no batch size and learning rate; it serves comparison only")
    return {
        "non_embedding_flops_per_token": law.model.at(compute),
        "tokens": law.tokens.at(compute),
        "batch_tokens": law.batch_tokens.at(compute),
        "learning_rate": law.learning_rate.at(compute),
    }


def _budget(config: ScalingConfig, choices: Choices, length: int) -> float:
    """FLOPs that the law is asked about: those of chosen shape and tokens, else the configured budget."""
    if choices.shape is not None and choices.tokens is not None:
        budget = float(non_embedding_flops_per_token(choices.shape, length) * choices.tokens)
        require_budget(config, budget)
        return budget
    if config.compute is None:
        raise ConfigError("ScalingConfig.compute is None; allowed: a budget in FLOPs, or None with a chosen shape and tokens")
    return config.compute


def _batch_size(batch_tokens: float, tokens: float, length: int) -> int:
    """Sequences: the law's batch, or less where it would leave fewer than `LEAST_STEPS` steps."""
    return max(1, round(min(batch_tokens, tokens / LEAST_STEPS) / length))


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
        "notes": list(made.notes),
    }


def _shape_in_words(shape: ModelShape) -> str:
    return f"{shape.n_layer} layers of width {shape.d_model}, {shape.n_head} heads"


def _write(made: Plan, output: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    (output / "plan.json").write_text(json.dumps(dataclasses.asdict(made), indent=1, sort_keys=True, ensure_ascii=False) + "\n")
    chosen = {
        "compute": made.compute,
        "non_embedding_flops_per_token": non_embedding_flops_per_token(made.shape, made.sequence_length),
        "tokens": made.tokens,
        "batch_tokens": made.batch_size * made.sequence_length,
        "learning_rate": made.learning_rate,
        "init_std": made.init_std,
        "warmup_steps": made.warmup_steps,
    }
    law = {
        **made.law,
        "compute": made.law["non_embedding_flops_per_token"] * made.law["tokens"],
        "init_std": INIT_STD,
        "warmup_steps": WARMUP_STEPS,
    }
    rows = [{"name": name, "chosen": float(value), "law": float(law[name])} for name, value in chosen.items()]
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

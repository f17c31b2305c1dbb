"""The stage that plans: `plan.json` and its table, with what the training data means for the plan."""

import dataclasses
from pathlib import Path

from components.artifacts import Figures, Mixture, ModelShape, Plan, TokenIndex, encoded
from components.flops import SCALES, parameters, scale_of
from components.model.configuration import read_shape
from components.scaling.config import ScalingConfig
from components.scaling.laws.files import find_law
from components.scaling.laws.law import Law
from components.scaling.planning.notes import epoch_notes
from components.scaling.planning.planner import INIT_STD, WARMUP_STEPS, Planner
from components.tokenizer.special_tokens import SpecialTokens
from components.training.config import Choices
from components.training.portions import apportion, explain, windows_of


def plan(
    config: ScalingConfig,
    *,
    choices: Choices,
    tokenizer: Path,
    token_shards: Path,
    output: Path,
    start: Path | None = None,
    law: Law | None = None,
) -> Figures:
    """Write `plan.json` (a `Plan`) and `metrics/plan.parquet` (what was chosen, beside the law); the headline figures.

    A law that predicts a loss is written beside them, so that the finished training can be compared with its prediction.

    Args:
        config: budget and law.
        choices: what is decided already.
        tokenizer: a tokenizer artifact, for the vocabulary of the shape.
        token_shards: the training tokens, for the epochs that the plan needs.
        output: an empty directory.
        start: a checkpoint where training starts, whose shape is taken where none is chosen; None: it starts anew.
        law: used instead of the one that the config names.

    Raises:
        ConfigError: a budget or choice that makes no sense, or a chosen shape of another vocabulary than the tokenizer's.
        TrainingError: the epoch limits of the mixture do not allow so many tokens.
        MissingArtifact, DamagedArtifact: a file of the tokenizer or of the shards is missing or unreadable.
    """
    law = law or find_law(config.law)
    if start is not None and choices.shape is None:
        choices = dataclasses.replace(choices, shape=read_shape(start))
    vocab_size = SpecialTokens.read(tokenizer).vocab_size
    made = Planner(config=config, choices=choices, vocab_size=vocab_size, law=law).plan()
    index, mixture = TokenIndex.read(token_shards), Mixture.read(token_shards)
    portions = apportion(mixture, windows_of(index, made.sequence_length), made.steps * made.batch_size)
    notes = (*made.notes, *epoch_notes(made.tokens, mixture, index.training_tokens), *explain(portions))
    made = dataclasses.replace(made, notes=notes)
    _write(made, law, output)
    if made.prediction is not None:
        law.write(output)
    return _figures(made)


def _figures(made: Plan) -> Figures:
    return {
        "parameters": parameters(made.shape),
        "shape": _shape_in_words(made.shape),
        **{name: getattr(made, name) for name in ("tokens", "steps", "batch_size", "sequence_length", "learning_rate")},
        "compute": made.compute,
        "memory_bytes": made.memory_bytes,
        **({"prediction": {"figure": made.predicted_figure, **encoded(made.prediction)}} if made.prediction else {}),
        "notes": list(made.notes),
    }


def _shape_in_words(shape: ModelShape) -> str:
    return f"{shape.n_layer} layers of width {shape.d_model}, {shape.n_head} heads"


def _write(made: Plan, law: Law, output: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    made.write(output)
    schema = pa.schema([("name", pa.string()), ("chosen", pa.float64()), ("law", pa.float64())])
    (output / "metrics").mkdir()
    table = pa.Table.from_pylist(_rows(made, law), schema=schema)
    pq.write_table(table, output / "metrics" / "plan.parquet", compression="zstd")


def _rows(made: Plan, law: Law) -> list[dict[str, str | float]]:
    """What was chosen beside what the law says, or the paper where no law does."""
    chosen = {
        "compute": made.compute,
        law.scale: scale_of(made.shape, made.sequence_length, law.scale),
        "tokens": made.tokens,
        "batch_tokens": made.batch_size * made.sequence_length,
        "learning_rate": made.learning_rate,
        "init_std": made.init_std,
        "warmup_steps": made.warmup_steps,
    }
    by_law = {
        **made.law,
        "compute": SCALES[law.scale] * made.law[law.scale] * made.law["tokens"],
        "init_std": INIT_STD,
        "warmup_steps": WARMUP_STEPS,
    }
    return [{"name": name, "chosen": float(value), "law": float(by_law[name])} for name, value in chosen.items()]

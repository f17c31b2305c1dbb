"""Trains a base model from a plan and token shards (DeepSeek LLM, arXiv 2401.02954, section 2)."""

import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from components.artifacts import Figures, Mixture, ModelShape, Plan, TrainingOutcome
from components.errors import ConfigError, TrainingError
from components.files import JSON
from components.flops import model_flops_per_token, non_embedding_flops_per_token, parameters
from components.model.configuration import read_shape
from components.model.decoder import Decoder, initial_weight
from components.model.huggingface import WEIGHTS, StoredWeights, save
from components.ports import Launcher, Metrics, RemoteScratch, TrainingReporter
from components.ports.verification import HASHED
from components.pretraining.config import PretrainingConfig
from components.pretraining.documents import documents_of
from components.pretraining.held_out import NAME, HeldOutBitsPerByte
from components.pretraining.packed import NextToken, PackedBatches
from components.pretraining.shared_prefix import CHECKPOINT, prefix_identity, require_same_prefix
from components.tokenizer.token_shards import TokenShardReader
from components.training.checkpoints.files import LENGTH, published, step_of
from components.training.checkpoints.saving import CheckpointPlan
from components.training.config import TrainingConfig, TrainingSettings
from components.training.data_order import DataOrder
from components.training.history import write_history
from components.training.incidents import NAME as INCIDENTS
from components.training.incidents import Incidents, read_incidents, write_incidents
from components.training.loop import Trained, TrainSpec, train
from components.training.parallel.placement import Weights
from components.training.portions import Portion, explain
from components.training.resources import require_disk, require_memory

logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True, slots=True)
class PretrainingInputs:
    """The directories of the artifacts that pretraining reads."""

    plan: Path
    """Training plan."""
    token_shards: Path
    tokenizer: Path
    start: Path | None = None
    """Checkpoint whose weights training starts with; None: weights are initialised."""
    trunk: Path | None = None
    """Training state of a trunk (a training run with another token budget) from which this training branches; None: no branch."""


@dataclass(frozen=True, kw_only=True)
class _Spec:
    """The input of a training worker. All paths are absolute, and accessible to all workers."""

    config: PretrainingConfig
    plan: Plan
    token_shards: Path
    tokenizer: Path
    start: Path | None
    checkpoints: CheckpointPlan
    output: Path

    @property
    def incidents(self) -> Path:
        """The file that lists incidents and their documents."""
        return self.checkpoints.root.with_name(INCIDENTS)

    @property
    def batches(self) -> PackedBatches:
        """The data of each step."""
        return PackedBatches.planned(self.plan, self.token_shards, self.config)


def pretrain(
    config: PretrainingConfig,
    inputs: PretrainingInputs,
    *,
    output: Path,
    scratch: Path,
    launcher: Launcher,
    metrics: Metrics,
    uploads: RemoteScratch | None = None,
) -> Figures:
    """Train a decoder as planned, on the mixture of the token shards, and write it as a Hugging Face directory with `metrics/`.

    Resumes from the checkpoints of an earlier attempt in `scratch` or `uploads`, or else branches from `inputs.trunk`. The
    output is bitwise identical to that of a run without interruption or branching.

    `metrics/training.parquet` has one row per step. `metrics/mixture.parquet` has one row per portion of the mixture: domain,
    language (if the mixture has language shares), target (share in the mixture), share (planned), windows (per epoch), epochs.
    `metrics/incidents.jsonl`, if there are any, has the documents of each step with a non-finite loss or gradient or a loss
    spike.

    Returns:
        steps, tokens, loss (mean over the last tenth of the steps), bits per byte after the last step, tokens by domain, and
        notes.

    Raises:
        ConfigError: sequences are longer than the context, a batch has fewer sequences than there are replicas, the vocabulary
            differs from the token shards', `inputs.start` has another shape, or the trunk has other first steps.
        ResourceError: there is not enough memory or disk space for the plan.
        TrainingError: there is not enough text for the plan within the epoch limits, or a loss is not finite.
        CheckpointError: the checkpoints in `scratch` belong to another training or are damaged, or the trunk is damaged.
    """
    # Check everything that can be checked before workers start
    plan = Plan.read(inputs.plan)
    batches = _batches(config, plan, inputs.token_shards)
    root = scratch.absolute() / "checkpoints"
    spec = _Spec(
        config=config,
        plan=plan,
        token_shards=inputs.token_shards.absolute(),
        tokenizer=inputs.tokenizer.absolute(),
        start=None if inputs.start is None else inputs.start.absolute(),
        checkpoints=_checkpoints(config, plan, inputs, batches.order, root, uploads),
        output=output.absolute(),
    )
    require_disk(root, parameters(plan.shape), config.training.checkpoints.on_disk)

    portions = batches.order.portions
    notes = explain(portions)
    for note in notes:
        logger.warning("%s", note)
    metrics.log(0, {f"planned_share/{portion.name}": portion.share for portion in portions})

    trained = launcher.launch(
        _work, spec, workers=config.training.workers, min_workers=config.training.min_workers, metrics=metrics
    )[0]
    assert trained is not None
    metrics.measured(trained.measured)

    seen = dict(sorted(batches.tokens_seen(plan.steps).items()))
    _write_metrics(spec, trained, portions, {f"tokens/{name}": counts for name, counts in seen.items()})
    by_domain = {domain: int(seen[domain][-1]) for domain in batches.order.domains}
    outcome = outcome_of(trained)
    outcome.write(output)
    return figures_of(outcome) | {"tokens_by_domain": by_domain, "notes": list(notes)}


def _batches(config: PretrainingConfig, plan: Plan, token_shards: Path) -> PackedBatches:
    """The data of each step. Raises `ConfigError` if the plan does not fit the config or the token shards."""
    refuse_misfits(config, plan, TokenShardReader.open(token_shards).vocab_size)
    return PackedBatches.planned(plan, token_shards, config)


def _checkpoints(
    config: PretrainingConfig,
    plan: Plan,
    inputs: PretrainingInputs,
    order: DataOrder,
    root: Path,
    uploads: RemoteScratch | None,
) -> CheckpointPlan:
    """The plan for checkpoints. Raises `ConfigError` if the starting weights or the trunk do not fit this training."""
    start_digest = ""
    if inputs.start is not None:
        refuse_another_shape(plan.shape, inputs.start)
        start_digest = HASHED.sha256(inputs.start / WEIGHTS)
    identity = prefix_identity(plan, config, order, inputs.token_shards) | {"start": start_digest}
    if inputs.trunk is not None:
        require_same_prefix(inputs.trunk / CHECKPOINT, identity, TrainingSettings.planned(config.training, plan))
    return CheckpointPlan(
        root=root,
        identity=identity | {LENGTH: plan.steps},
        branch_from=None if inputs.trunk is None else inputs.trunk.absolute() / CHECKPOINT,
        uploads=uploads if config.training.checkpoints.upload else None,
    )


def _write_metrics(
    spec: _Spec, trained: Trained, portions: tuple[Portion, ...], columns: Mapping[str, npt.NDArray[np.int64]]
) -> None:
    output = spec.output
    write_history(trained.history, output / "metrics" / "training.parquet", columns)
    pq.write_table(_mixture_table(portions), output / "metrics" / "mixture.parquet", compression="zstd")
    write_incidents(read_incidents(spec.incidents), output / "metrics" / INCIDENTS)


def planned_batches(config: PretrainingConfig, *, plan: Path, token_shards: Path) -> PackedBatches:
    """The data of each step of a pretraining. Raises the errors of `pretrain`."""
    return _batches(config, Plan.read(plan), token_shards)


def permanent_checkpoints(config: PretrainingConfig, *, plan: Path, scratch: Path) -> list[Path]:
    """The permanent checkpoints of a finished pretraining in `scratch`, from which others can branch, sorted by step."""
    steps = TrainingSettings.planned(config.training, Plan.read(plan)).permanent_steps
    return sorted(directory for directory in published(scratch / "checkpoints") if step_of(directory) in steps)


def _work(spec: _Spec, reporter: TrainingReporter) -> Trained | None:
    """Train on one worker. Rank 0 writes the model and returns the result; other ranks return None, since the history is long."""
    config, plan, batches = spec.config, spec.plan, spec.batches
    settings, size = TrainingSettings.planned(config.training, plan), parameters(plan.shape)
    shards = config.training.layout.over(reporter.world_size).workers_per_replica
    require_memory(plan.memory_bytes, size, reporter.rank, made=size // shards)

    model, weights = _initial_model(spec)
    torch.manual_seed(config.seed)  # checkpoints contain the generator states
    shares = Mixture.read(spec.token_shards).shares
    training = TrainSpec(
        model=model,
        objective=NextToken(config.loss_rows, batches.order.domains),
        batches=batches,
        weights=weights,
        validation=HeldOutBitsPerByte(batches.reader, shares, config.max_validation_bytes, config.seed),
        flops_per_token={
            "model_flops_utilisation": model_flops_per_token(plan.shape, plan.sequence_length),
            "paper_flops_utilisation": non_embedding_flops_per_token(plan.shape, plan.sequence_length),
        },
        on_incident=Incidents(spec.incidents, partial(documents_of, batches), _batch_command),
    )
    trained = train(training, settings, spec.checkpoints, reporter)
    if reporter.rank != 0:
        return None
    save(model, spec.tokenizer, spec.output)
    return trained


def _batch_command(step: int) -> str:
    return f"longrun batch latest {step}"


def _initial_model(spec: _Spec) -> tuple[Decoder, Weights]:
    """The model on the meta device, and a function that initialises its weights or reads them from a checkpoint."""
    with torch.device("meta"):
        model = Decoder(spec.plan.shape)
    if spec.start is not None:
        return model, StoredWeights(spec.start)
    return model, partial(initial_weight, std=spec.plan.init_std, seed=spec.config.seed)


def refuse_misfits(config: PretrainingConfig, plan: Plan, vocab_size: int) -> None:
    """Raise `ConfigError` if the plan does not fit the config, or token shards with that vocabulary size."""
    context, vocabulary = plan.shape.context, plan.shape.vocab_size
    if plan.sequence_length > context:
        raise ConfigError(f"the plan's sequence length is {plan.sequence_length}; allowed: at most its context of {context}")
    layout = config.training.layout.over(config.training.workers)
    layout.require_fit(plan.shape, plan.sequence_length)
    if plan.batch_size < layout.replicas:
        raise ConfigError(
            f"the plan's batch size is {plan.batch_size}; allowed: at least {layout.replicas}, one sequence per replica"
        )
    if layout.zero_stage == 3 and (uneven := _uneven_world(config.training, plan)):
        raise ConfigError(
            f"{uneven} replicas would have different numbers of micro-batches with the plan's batch size of {plan.batch_size}; "
            "allowed with zero_stage 3: a multiple of a micro-batch's sequences times every possible number of replicas"
        )
    if vocabulary != vocab_size:
        raise ConfigError(f"the plan's vocabulary size is {vocabulary}; allowed: that of the token shards, {vocab_size}")


def refuse_another_shape(shape: ModelShape, start: Path) -> None:
    """Raise `ConfigError` unless the checkpoint at `start` has the plan's shape."""
    ours, theirs = asdict(shape), asdict(read_shape(start))
    unequal = ", ".join(f"{name} {theirs[name]}" for name in ours if ours[name] != theirs[name])
    if unequal:
        raise ConfigError(
            f"the plan's shape differs from that of the checkpoint at {start}, which has {unequal}; do not set pretraining.shape"
        )


def _uneven_world(config: TrainingConfig, plan: Plan) -> int | None:
    """A possible number of replicas with which their numbers of micro-batches would differ; None: there is none."""
    size, replicas = config.sequences(plan.sequence_length), config.layout.over(config.workers).replicas
    for count in range(config.min_workers or replicas, replicas + 1):
        fewest, largest = plan.batch_size // count, -(-plan.batch_size // count)
        if -(-fewest // size) != -(-largest // size):
            return count
    return None


def _mixture_table(portions: tuple[Portion, ...]) -> pa.Table:
    table = pa.Table.from_pylist([asdict(portion) for portion in portions])
    return table if any(portion.language for portion in portions) else table.drop_columns("language")


def outcome_of(trained: Trained) -> TrainingOutcome:
    """The result of a finished training run. Raises `TrainingError` if no step had a finite loss."""
    losses = [row["loss"] for row in trained.history if "loss" in row]
    if not losses:
        raise TrainingError("no step had a finite loss; lower the learning rate")
    last, prefix = trained.history[-1], f"{NAME}/"
    tail = losses[-max(1, len(losses) // 10) :]
    return TrainingOutcome(
        steps=int(last["step"]),
        tokens=int(last["tokens"]),
        loss=sum(tail) / len(tail),
        bits_per_byte=last.get(NAME),
        bits_per_byte_by_domain={name.removeprefix(prefix): last[name] for name in sorted(last) if name.startswith(prefix)},
    )


def figures_of(outcome: TrainingOutcome) -> dict[str, JSON]:
    """Steps, tokens, loss and bits per byte of a result, as the figures of a step."""
    by_domain = {f"{NAME}/{domain}": value for domain, value in outcome.bits_per_byte_by_domain.items()}
    return {"steps": outcome.steps, "tokens": outcome.tokens, **outcome.figures, **by_domain}

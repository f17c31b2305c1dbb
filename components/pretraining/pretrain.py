"""From a plan and token shards to a base model (DeepSeek LLM, arXiv 2401.02954, section 2)."""

import json
import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import torch

from components.artifacts import Mixture, ModelShape, Plan, sha256_of_file
from components.errors import ConfigError, TrainingError
from components.flops import model_flops_per_token, non_embedding_flops_per_token, parameters
from components.model.decoder import Decoder, drawn
from components.model.huggingface import WEIGHTS, StoredWeights, read_shape, save
from components.ports import Launcher, Metrics, RemoteScratch, TrainingReporter
from components.pretraining.beginnings import CHECKPOINT, beginning, require_same_beginning
from components.pretraining.config import PretrainingConfig
from components.pretraining.documents import Incidents, read_incidents
from components.pretraining.held_out import NAME, HeldOutBitsPerByte
from components.pretraining.packed import NextToken, PackedBatches
from components.tokenizer.token_shards import TokenShardReader
from components.training.checkpoints.files import LENGTH, published, step_of
from components.training.config import TrainingSettings
from components.training.data_order import DataOrder
from components.training.history import write_history
from components.training.loop import Trained, train
from components.training.parallel.placement import Weights
from components.training.portions import Portion, apportion, explain, windows_of
from components.training.resources import require_disk, require_memory

logger = logging.getLogger(__name__)

INCIDENTS = "incidents.jsonl"


@dataclass(frozen=True)
class _Spec:
    """What a training worker is told. All paths are absolute, and seen by all workers."""

    config: PretrainingConfig
    plan: Plan
    settings: TrainingSettings
    shares: dict[str, float]
    """The mixture's, for the mean over domains."""
    order: DataOrder
    token_shards: Path
    tokenizer: Path
    output: Path
    checkpoints: Path
    start: Path | None = None
    """A checkpoint whose weights training starts with."""
    start_digest: str = ""
    """sha256 of those weights."""
    uploads: RemoteScratch | None = None
    """Where checkpoints are copied to."""
    trunk: Path | None = None
    """A training checkpoint of a training of another length, where this one begins."""

    @property
    def incidents(self) -> Path:
        """Where the documents of steps are noted in which something went wrong."""
        return self.checkpoints.with_name(INCIDENTS)

    @property
    def batches(self) -> PackedBatches:
        """What each step sees."""
        return PackedBatches(
            TokenShardReader.open(self.token_shards),
            self.order,
            self.plan.batch_size,
            self.plan.sequence_length,
            self.config.micro_batch_size,
            self.config.document_mask,
        )


def pretrain(
    config: PretrainingConfig,
    *,
    plan: Path,
    token_shards: Path,
    tokenizer: Path,
    output: Path,
    scratch: Path,
    launcher: Launcher,
    metrics: Metrics,
    trunk: Path | None = None,
    start: Path | None = None,
    uploads: RemoteScratch | None = None,
) -> dict[str, Any]:
    """Train the plan's decoder on the shards' mixture and write it as a Hugging Face directory with `metrics/`.

    Weights are drawn, or are those of the checkpoint `start`. Goes on from the checkpoints in `scratch`, if a former attempt left
    any, or those copied to `uploads`, else from `trunk`, the training state of a training with another token budget: what comes
    out is bitwise what would have without.

    `metrics/training.parquet` has one row per step, `metrics/mixture.parquet` one per portion of the mixture: domain, language
    (where the mixture has shares of languages), target (share asked for), share (planned), windows (of an epoch), epochs.
    `metrics/incidents.jsonl`, if there were any, has the documents of each step whose loss or gradient was not finite, or whose
    loss was a spike.

    Returns:
        steps, tokens, loss (mean of the last tenth), bits per byte after the last step, tokens by domain, and notes.

    Raises:
        ConfigError: a sequence longer than the context, fewer sequences in a batch than workers, another vocabulary,
            a start of another shape, a trunk that began otherwise.
        ResourceError: too little memory or disk for the plan.
        TrainingError: too little text for the plan within the epoch limits, or a loss that is not finite.
        CheckpointError: no checkpoints in `scratch` but those of another training, or a damaged trunk.
    """
    spec = _spec(config, _read_plan(plan), token_shards, tokenizer, output, scratch)
    spec = _placed(replace(spec, uploads=uploads if config.upload_checkpoints else None), start, trunk)
    require_disk(spec.checkpoints, parameters(spec.plan.shape), config.most_checkpoints)
    notes = explain(spec.order.portions)
    for note in notes:
        logger.warning("%s", note)
    metrics.log(0, {f"planned_share/{p.name}": p.share for p in spec.order.portions})
    trained = launcher.launch(_work, spec, workers=config.workers, min_workers=config.min_workers, metrics=metrics)[0]
    assert trained is not None
    seen = dict(sorted(spec.batches.tokens_seen(spec.plan.steps).items()))
    _write_metrics(spec, trained, {f"tokens/{name}": counts for name, counts in seen.items()})
    by_domain = {domain: int(seen[domain][-1]) for domain in spec.order.domains}
    return figures_of(trained) | {"tokens_by_domain": by_domain, "notes": list(notes)}


def _placed(spec: _Spec, start: Path | None, trunk: Path | None) -> _Spec:
    """With the weights to start with, and where training begins, both checked."""
    if start is not None:
        refuse_another_shape(spec.plan.shape, start)
        spec = replace(spec, start=start.absolute(), start_digest=sha256_of_file(start / WEIGHTS))
    if trunk is not None:
        spec = replace(spec, trunk=trunk.absolute() / CHECKPOINT)
        require_same_beginning(trunk / CHECKPOINT, _beginning(spec), spec.settings)
    return spec


def _write_metrics(spec: _Spec, trained: Trained, columns: Mapping[str, npt.NDArray[np.int64]]) -> None:
    output = spec.output
    write_history(trained.history, output / "metrics" / "training.parquet", columns)
    pq.write_table(_mixture_table(spec.order.portions), output / "metrics" / "mixture.parquet", compression="zstd")
    incidents = read_incidents(spec.incidents)
    if incidents:
        lines = (json.dumps(line, ensure_ascii=False) + "\n" for line in incidents)
        (output / "metrics" / INCIDENTS).write_text("".join(lines))


def planned_batches(config: PretrainingConfig, *, plan: Path, token_shards: Path) -> PackedBatches:
    """What each step of such a pretraining sees. Raises as `pretrain` does."""
    return _spec(config, _read_plan(plan), token_shards, Path(), Path(), Path()).batches


def permanent_checkpoints(config: PretrainingConfig, *, plan: Path, scratch: Path) -> list[Path]:
    """The checkpoints that a finished pretraining has left in `scratch` for others to branch from, by step."""
    steps = settings_of(config, _read_plan(plan)).permanent_steps
    return sorted(place for place in published(scratch / "checkpoints") if step_of(place) in steps)


def _work(spec: _Spec, reporter: TrainingReporter) -> Trained | None:
    """What each worker does; rank 0 writes the model, and alone tells what was trained: a long history is the same on all."""
    plan, batches = spec.plan, spec.batches
    whole = parameters(plan.shape)
    parts = spec.settings.layout.over(reporter.world_size).replica
    require_memory(plan.memory_bytes, whole, reporter.rank, made=whole // parts)
    model, weights = _initial_model(spec)
    torch.manual_seed(spec.config.seed)  # checkpoints hold the generators' states, whatever this process has drawn before
    trained = train(
        model,
        NextToken(spec.config.loss_rows, spec.order.domains),
        batches,
        spec.settings,
        reporter=reporter,
        checkpoints=spec.checkpoints,
        identity=_beginning(spec) | {LENGTH: spec.plan.steps},
        weights=weights,
        validation=HeldOutBitsPerByte(batches.reader, spec.shares, spec.config.validation_bytes, spec.config.seed),
        flops_per_token={
            "model_flops_utilisation": model_flops_per_token(plan.shape, plan.sequence_length),
            "paper_flops_utilisation": non_embedding_flops_per_token(plan.shape, plan.sequence_length),
        },
        on_incident=Incidents(spec.incidents, batches),
        trunk=spec.trunk,
        uploads=spec.uploads,
    )
    if reporter.rank != 0:
        return None
    save(model, spec.tokenizer, spec.output)
    return trained


def _initial_model(spec: _Spec) -> tuple[Decoder, Weights]:
    """The model on the meta device, and what reads its weights from a checkpoint, or draws them."""
    with torch.device("meta"):
        model = Decoder(spec.plan.shape)
    if spec.start is not None:
        return model, StoredWeights(spec.start)
    return model, partial(drawn, std=spec.plan.init_std, seed=spec.config.seed)


def _spec(config: PretrainingConfig, plan: Plan, token_shards: Path, tokenizer: Path, output: Path, scratch: Path) -> _Spec:
    reader = TokenShardReader.open(token_shards)
    refuse_misfits(config, plan, reader.vocab_size)
    mixture = Mixture(**json.loads((token_shards / "mixture.json").read_text()))
    portions = apportion(mixture, windows_of(reader.index, plan.sequence_length), plan.steps * plan.batch_size)
    return _Spec(
        config=config,
        plan=plan,
        settings=settings_of(config, plan),
        shares=mixture.shares,
        order=DataOrder(portions, config.seed),
        token_shards=token_shards.absolute(),
        tokenizer=tokenizer.absolute(),
        output=output.absolute(),
        checkpoints=scratch.absolute() / "checkpoints",
    )


def refuse_misfits(config: PretrainingConfig, plan: Plan, vocab_size: int) -> None:
    """Raise `ConfigError` for a plan that does not go with the configuration or with shards of that vocabulary."""
    context, vocabulary = plan.shape.context, plan.shape.vocab_size
    if plan.sequence_length > context:
        raise ConfigError(f"the plan's sequence length is {plan.sequence_length}; allowed: up to its context of {context}")
    layout = config.layout.over(config.workers)
    layout.require_fit(plan.shape, plan.sequence_length)
    if plan.batch_size < layout.replicas:
        raise ConfigError(
            f"the plan's batch size is {plan.batch_size}; allowed: at least {layout.replicas}, one sequence for each replica"
        )
    if layout.zero_stage == 3 and (uneven := _uneven_world(config, plan.batch_size)):
        raise ConfigError(
            f"{uneven} replicas would part the plan's batch size of {plan.batch_size} into unequal numbers of micro-batches; "
            "allowed with zero_stage 3: a multiple of micro_batch_size times every number of replicas"
        )
    if vocabulary != vocab_size:
        raise ConfigError(f"the plan's vocabulary is {vocabulary}; allowed: that of the token shards, {vocab_size}")


def refuse_another_shape(shape: ModelShape, start: Path) -> None:
    """Raise `ConfigError` unless the checkpoint at `start` has the plan's shape."""
    ours, theirs = asdict(shape), asdict(read_shape(start))
    apart = [f"{name} {theirs[name]}" for name in ours if ours[name] != theirs[name]]
    if apart:
        found = ", ".join(apart)
        raise ConfigError(f"the plan's shape is not that of the checkpoint at {start}, which has {found}; leave the shape out")


def _uneven_world(config: PretrainingConfig, batch_size: int) -> int | None:
    """A number of replicas, of those that may train, whose passes would differ in number; None: there is none."""
    replicas = config.layout.over(config.workers).replicas
    for workers in range(config.min_workers or replicas, replicas + 1):
        least, most = batch_size // workers, -(-batch_size // workers)
        if -(-least // config.micro_batch_size) != -(-most // config.micro_batch_size):
            return workers
    return None


def settings_of(config: PretrainingConfig, plan: Plan) -> TrainingSettings:
    """What the training loop is told of the plan and the configuration."""
    return TrainingSettings(
        steps=plan.steps,
        learning_rate=plan.learning_rate,
        warmup_steps=plan.warmup_steps,
        schedule=config.schedule,
        optimizer=config.optimizer,
        precision=config.precision,
        compile=config.compile,
        activation_checkpointing=config.activation_checkpointing,
        layout=config.layout,
        deterministic=config.deterministic,
        checkpoint_seconds=config.checkpoint_seconds,
        checkpoint_steps=config.checkpoint_steps,
        keep_checkpoints=config.keep_checkpoints,
        permanent_checkpoints=config.permanent_checkpoints,
        validation_steps=config.validation_steps,
        non_finite=config.non_finite,
        spike_deviations=config.spike_deviations,
        on_spike=config.on_spike,
    )


def _beginning(spec: _Spec) -> dict[str, Any]:
    return beginning(spec.plan, spec.config, spec.order, spec.token_shards) | {"start": spec.start_digest}


def _read_plan(directory: Path) -> Plan:
    raw = json.loads((directory / "plan.json").read_text())
    return Plan(**raw | {"shape": ModelShape(**raw["shape"]), "notes": tuple(raw["notes"])})


def _mixture_table(portions: tuple[Portion, ...]) -> pa.Table:
    table = pa.Table.from_pylist([asdict(portion) for portion in portions])
    return table if any(portion.language for portion in portions) else table.drop_columns("language")


def figures_of(trained: Trained) -> dict[str, Any]:
    """Steps, tokens, loss (mean of the last tenth) and bits per byte of a finished training."""
    losses = [row["loss"] for row in trained.history if "loss" in row]
    if not losses:
        raise TrainingError("no step had a finite loss; lower the learning rate")
    last = trained.history[-1]
    tail = losses[-max(1, len(losses) // 10) :]
    measured = {name: value for name, value in sorted(last.items()) if name.startswith(NAME)}
    return {"steps": int(last["step"]), "tokens": int(last["tokens"]), "loss": sum(tail) / len(tail), **measured}

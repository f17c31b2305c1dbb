"""What MLflow shows about a run and its steps.

The run is a parent with the recipe as parameters, the steps' figures as metrics named STEP/FIGURE, the data it makes as datasets,
and the version that it registers as a tag: MLflow's list of runs, its search and its comparison work on parents alone. Each step
that is made is a child with its config, its curves, its final figures below `final/`, and the data that it reads.
"""

import os.path
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from components.artifacts import Artifact, Conversations, Corpus, Manifest, PreferencePairs, TokenShards
from infra import caching
from infra.mlflow import tracking
from infra.mlflow.datasets import Dataset, log_datasets
from workflows.steps.labels import Labels
from workflows.steps.run import Order, Run
from workflows.steps.work import Work

_DATA = (Corpus, TokenShards, Conversations, PreferencePairs)
"""Kinds of artifacts that are datasets."""

_EVALUATING = ("evaluation", "check_evaluation")
"""Steps that read data to evaluate models; the others read it to train them."""

MODEL_VERSION = "model_version"
"""Tag of a parent: the version that its model is registered as, NAME/VERSION."""


def start_parent(tracking_uri: str, recipe: Any, run: str, labels: Labels, tags: Mapping[str, str]) -> str:
    """Start the MLflow run of the run with the id `run` of a recipe or sweep, with its labels; returns its id in MLflow."""
    note = {"mlflow.note.content": labels.note} if labels.note else {}
    shown = {**labels.tags, **note, **_source(recipe.name, labels.user), "run": run, **tags}
    parent = tracking.start_run(tracking_uri, f"{recipe.name} {run}", tags=shown)
    tracking.log_params(tracking_uri, parent, caching.as_json(recipe))
    return parent


def start_child(order: Order) -> str:
    """Start the MLflow run of a step; returns its id in MLflow."""
    run = order.run
    tags = {**_source(run.recipe, run.options.labels.user), "run": run.journal.name, "step": order.step}
    return tracking.start_run(run.tracking_uri, f"{run.recipe} {order.step}".strip(), parent=run.mlflow_run, tags=tags)


def _source(recipe: str, user: str) -> dict[str, str]:
    """The tags in which MLflow's pages look for the program and the user."""
    return {"recipe": recipe, "mlflow.source.name": f"longrun {recipe}", "mlflow.source.type": "LOCAL", "mlflow.user": user}


def show_in_parent(run: Run, step: str, artifact: Artifact) -> None:
    """Add the figures of a step's artifact to the run's parent in MLflow; data also as a dataset."""
    figures = run.store.manifest(artifact.uri).figures
    headline = {f"{step}/{name}": value for name, value in tracking.numbers_in(figures).items() if _is_headline(name)}
    tracking.log_values(run.tracking_uri, run.mlflow_run, 0, headline)
    if isinstance(artifact, _DATA):
        log_datasets(run.tracking_uri, run.mlflow_run, [_dataset(run, step, artifact, figures)], "training")


def _is_headline(name: str) -> bool:
    """Whether a figure is about the whole, and not a breakdown by several criteria, which the step's own run has."""
    return name.count("/") + name.count(".") <= 1


def show_version(run: Run, version: str) -> None:
    """Add the registered version of the run's model to its parent in MLflow."""
    tracking.set_tag(run.tracking_uri, run.mlflow_run, MODEL_VERSION, version)


def show_in_child(work: Work, artifact: Artifact, manifest: Manifest) -> None:
    """Log config, final figures, measurements, digests and datasets of a finished step to its own MLflow run."""
    order, uri = work.order, work.order.run.tracking_uri
    final = {f"{tracking.FINAL}{name}": value for name, value in tracking.numbers_in(manifest.figures).items()}
    measured = {f"{tracking.MEASURED}{name}": value for name, value in work.measurements.items()}
    tags = {**artifact.pinned, "cache_key": order.cache_key, "code_digest": order.code_digest}
    tracking.log_record(uri, work.mlflow_run, config=manifest.config, metrics={**final, **measured}, tags=tags)
    read = [*_inputs(work), *_raw(work, artifact, manifest)]
    log_datasets(uri, work.mlflow_run, read, "evaluation" if order.step in _EVALUATING else "training")


def _inputs(work: Work) -> Iterator[Dataset]:
    for name, artifact in work.inputs.items():
        if isinstance(artifact, _DATA):
            yield _dataset(work.order.run, name, artifact, work.manifest(artifact).figures)


def _dataset(run: Run, name: str, artifact: Artifact, figures: Mapping[str, Any]) -> Dataset:
    profile = tracking.numbers_in(figures)
    return Dataset(name=name, digest=artifact.content, uri=f"{run.root}/{artifact.uri}", profile=profile)


def _raw(work: Work, artifact: Artifact, manifest: Manifest) -> Iterator[Dataset]:
    """The sources whose raw files the step has read."""
    from workflows.steps.lineage import raw_files, raw_source

    for name, files in raw_files(work.order.store, artifact, manifest).items():
        source = raw_source(name, files)
        profile = {"files": source.files, "bytes": source.bytes}
        yield Dataset(name=name, digest=source.sha256, uri=_folder([file.uri for file in files]), profile=profile)


def _folder(uris: Sequence[str]) -> str:
    """URI of the folder that contains all these paths or URIs; of the file if there is only one."""
    common = os.path.commonprefix(list(uris))  # noqa: RUF071 - commonpath would make s3:/ of s3://
    if len(uris) > 1:
        common = common[: common.rfind("/") + 1] or common
    return Path(common).as_uri() if common.startswith("/") else common

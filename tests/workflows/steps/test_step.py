"""Reuse, publication and failure of a step, without an engine: the store and MLflow are real."""

import asyncio
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from components.artifacts import Corpus
from components.errors import SourceError
from components.ports import SilentMetrics, TrainingReporter
from infra.mlflow import tracking
from infra.ray import workers as ray_workers
from workflows.steps import journal
from workflows.steps.step import Order, Run, RunOptions, Work, make, obtain


@dataclass(frozen=True)
class Config:
    text: str = "words"


calls: list[str] = []


async def writing(order: Order, config: Config) -> Corpus:
    """Write one file."""

    def work(job: Work) -> Mapping[str, Any]:
        calls.append(order.step)
        (job.output / "text").write_text(config.text)
        job.log(1, {"loss": 2.0})
        job.log(1, {"loss": 2.0, "rate": 1.0})
        job.log(2, {"loss": 1.0})
        return {"words": len(config.text.split())}

    return make(order, Corpus, config, work)


async def failing(order: Order, config: Config) -> Corpus:
    """Fail with half of the output written."""

    def work(job: Work) -> Mapping[str, Any]:
        (job.output / "text").write_text("half")
        raise SourceError("source x is truncated")

    return make(order, Corpus, config, work)


class Task:
    """Calls the function itself where Flyte would schedule it."""

    def __init__(self, func: Any) -> None:
        self.func = func

    def __call__(self, *arguments: Any, **inputs: Any) -> Any:
        return self.func(*arguments, **inputs)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    calls.clear()
    uri = f"sqlite:///{tmp_path}/mlflow/mlflow.db"
    record = journal.open_journal(tmp_path / "runs")
    parent = tracking.start_run(uri, "run")
    return Run(home=str(tmp_path), directory=str(record.directory), tracking_uri=uri, mlflow_run=parent)


def obtained(run: Run, function: Any = writing, config: Config | None = None) -> Corpus:
    corpus = asyncio.run(obtain(run, Task(function), config or Config()))
    assert isinstance(corpus, Corpus)
    return corpus


def test_a_step_is_made_once_and_then_reused(run: Run) -> None:
    assert obtained(run) == obtained(run)
    assert calls == ["writing"]
    assert [event["event"] for event in run.journal.events()] == ["started", "made", "cached"]


def test_a_changed_config_makes_the_step_again(run: Run) -> None:
    assert obtained(run) != obtained(run, config=Config(text="other words"))
    assert calls == ["writing", "writing"]


def test_a_step_asked_for_afresh_is_made_again_with_the_same_evidence(run: Run) -> None:
    first = obtained(run)
    assert obtained(replace(run, options=RunOptions(fresh=("writing",)))) == first
    assert calls == ["writing", "writing"]


@pytest.mark.parametrize("damage", ["delete", "truncate", "manifest"])
def test_an_artifact_that_is_no_longer_whole_is_made_again(run: Run, damage: str) -> None:
    directory = Path(run.home) / obtained(run).uri
    if damage == "delete":
        (directory / "text").unlink()
    elif damage == "truncate":
        (directory / "text").write_text("w")
    else:
        (directory / "manifest.json").write_text("{")
    obtained(run)
    assert (directory / "text").read_text() == "words"
    assert calls == ["writing", "writing"]


def test_a_failed_step_leaves_nothing_and_is_recorded_with_its_reason(run: Run) -> None:
    with pytest.raises(SourceError, match="truncated"):
        obtained(run, failing)
    assert list(run.store.artifacts()) == []
    assert not any((Path(run.home) / "writing").iterdir())
    failed = run.journal.events()[-1]
    assert (failed["event"], failed["error"], failed["message"]) == ("failed", "SourceError", "source x is truncated")


def test_figures_config_and_inputs_stand_in_the_manifest(run: Run) -> None:
    manifest = run.store.manifest(obtained(run).uri)
    assert manifest.figures == {"words": 1}
    assert manifest.config == {"type": "Config", "text": "words"}
    assert [record.path for record in manifest.files] == ["text"]


def test_a_replayed_training_step_is_logged_once(run: Run) -> None:
    obtained(run)
    client = tracking.client(run.tracking_uri)
    experiment = client.get_experiment_by_name(tracking.EXPERIMENT)
    assert experiment is not None
    (child,) = client.search_runs([experiment.experiment_id], "tags.`mlflow.runName` = 'writing'")
    assert [point.value for point in client.get_metric_history(child.info.run_id, "loss")] == [2.0, 1.0]
    assert child.data.metrics == {"loss": 1.0, "rate": 1.0, "words": 1.0}


def own_process(spec: str, reporter: TrainingReporter) -> int:
    """The process of a training worker."""
    return os.getpid()


@pytest.mark.ray
@pytest.mark.usefixtures("local_ray")
def test_shard_work_takes_the_processors_of_training_workers_that_stayed(run: Run) -> None:
    job = Work(Order(step="step", cache_key="key", code_digest="code", run=run), Path(run.home), run.mlflow_run)
    before = job.launcher.launch(own_process, "", workers=1, metrics=SilentMetrics())
    assert job.engine.map_shards(abs, [-1, 2], description="numbers") == [1, 2]
    after = job.launcher.launch(own_process, "", workers=1, metrics=SilentMetrics())
    ray_workers.release()
    assert not set(before) & set(after)

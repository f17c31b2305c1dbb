"""Reuse, publication and failure of a step, without an engine: the store and MLflow are real."""

import asyncio
import inspect
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import flyte
import pytest

from components.artifacts import MANIFEST, Artifact, Corpus
from components.errors import SourceError
from components.locks import Lock
from components.ports import Metrics
from components.ports.unpublished import abandoned
from infra.mlflow import registry, tracking
from tests.paths import ROOT
from workflows.steps import journal
from workflows.steps.inputs import Component, only
from workflows.steps.journal import Event, listening
from workflows.steps.lock import making
from workflows.steps.run import Order, Run, RunOptions
from workflows.steps.step import StepTask, obtain, step

environment = flyte.TaskEnvironment(name="tests-steps")


@dataclass(frozen=True)
class Config:
    text: str = "words"


calls: list[str] = []


@step(environment, Corpus)
def writing(config: Config, corpus: Corpus | None = None) -> Component:
    """Write one file."""

    def write(*, config: Config, output: Path, metrics: Metrics) -> dict[str, Any]:
        calls.append("writing")
        (output / "text").write_text(config.text)
        metrics.log(1, {"loss": 2.0})
        metrics.log(1, {"loss": 2.0, "rate": 1.0})
        metrics.log(2, {"loss": 1.0})
        return {"words": len(config.text.split())}

    return write


@step(environment, Corpus)
def copying(config: Config, corpus: Corpus) -> Component:
    """Write what another step wrote."""

    def copy(corpus: Path, output: Path) -> dict[str, Any]:
        (output / "text").write_text((corpus / "text").read_text())
        return {}

    return copy


@step(environment, Corpus)
def failing(config: Config) -> Component:
    """Fail with half of the output written."""

    def fail(output: Path) -> dict[str, Any]:
        (output / "text").write_text("half")
        raise SourceError("source x is truncated")

    return fail


@dataclass(frozen=True)
class Signals:
    """Files by which a step says that it has started, and waits until it may end."""

    started: str
    end: str


@step(environment, Corpus)
def slow(config: Signals) -> Component:
    """Write one file when `config.end` exists."""

    def write(*, config: Signals, output: Path) -> dict[str, Any]:
        calls.append("slow")
        Path(config.started).touch()
        while not Path(config.end).exists():
            time.sleep(0.01)
        (output / "text").write_text("words")
        return {}

    return write


MAKER = """
import asyncio, sys
from pathlib import Path
from tests.workflows.steps.test_step import Signals, obtained_elsewhere
obtained_elsewhere(Path(sys.argv[1]))
"""


def signals(home: Path) -> Signals:
    return Signals(started=str(home / "started"), end=str(home / "end"))


def obtained_elsewhere(home: Path) -> None:
    """What another process does: obtain the step `slow` in the home."""
    obtained(in_home(home, f"sqlite:///{home}/mlflow/mlflow.db"), slow, signals(home))  # type: ignore[arg-type]


@contextmanager
def maker(home: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Another process that is making the step `slow`."""
    with subprocess.Popen([sys.executable, "-c", MAKER, str(home)], cwd=ROOT) as process:
        while not (home / "started").exists():
            assert process.poll() is None
            time.sleep(0.01)
        yield process


@pytest.fixture
def run(tmp_path: Path) -> Run:
    calls.clear()
    uri = f"sqlite:///{tmp_path}/mlflow/mlflow.db"
    record = journal.open_journal(tmp_path / "runs")
    parent = tracking.start_run(uri, "run")
    return Run(home=str(tmp_path), directory=str(record.directory), tracking_uri=uri, mlflow_run=parent, recipe="tiny")


def obtained(run: Run, task: StepTask[Corpus] = writing, config: Config | None = None, **inputs: Corpus) -> Corpus:
    return asyncio.run(obtain(run, task, config or Config(), **inputs))


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
    (child,) = client.search_runs([experiment.experiment_id], "tags.`mlflow.runName` = 'tiny writing'")
    assert [point.value for point in client.get_metric_history(child.info.run_id, "loss")] == [2.0, 1.0]
    measurements = {f"measured/{name}" for name in ("seconds", "component_seconds", "peak_memory_bytes")}
    assert {name: value for name, value in child.data.metrics.items() if name not in measurements} == {
        "loss": 1.0,
        "rate": 1.0,
        "final/words": 1.0,
    }
    assert measurements <= child.data.metrics.keys()


def test_flyte_gets_the_order_the_config_and_the_inputs_of_a_step_with_their_types() -> None:
    assert writing.native_interface.inputs == {  # type: ignore[attr-defined]
        "order": (Order, inspect.Parameter.empty),
        "config": (Config, inspect.Parameter.empty),
        "corpus": (Corpus | None, None),
    }
    assert writing.name == "tests-steps.writing"  # type: ignore[attr-defined]
    assert writing.func.__doc__ == "Write one file."


def test_what_is_said_of_files_is_none_of_flytes_business() -> None:
    @step(environment, Corpus)
    def reading(config: Config, corpus: Annotated[Corpus, only("metrics/*")]) -> Component:
        raise NotImplementedError

    assert reading.native_interface.inputs["corpus"][0] is Corpus  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", ["output", "engine", "inputs", "order"])
def test_an_input_cannot_have_the_name_of_what_a_step_offers_anyway(name: str) -> None:
    def function(config: Config, corpus: Corpus) -> Component:
        raise NotImplementedError

    renamed = [parameter.replace(name=name) for parameter in inspect.signature(function).parameters.values()][1:]
    function.__dict__["__signature__"] = inspect.Signature([*list(inspect.signature(function).parameters.values())[:1], *renamed])
    function.__annotations__[name] = Corpus
    with pytest.raises(TypeError, match=f"step function: an input cannot be called {name}"):
        step(environment, Corpus)(function)


def in_home(home: Path, tracking_uri: str, *fresh: str) -> Run:
    record = journal.open_journal(home / "runs")
    parent = tracking.start_run(tracking_uri, "run")
    options = RunOptions(fresh=fresh)
    return Run(home=str(home), directory=str(record.directory), tracking_uri=tracking_uri, mlflow_run=parent, options=options)


def test_equal_work_in_another_home_at_another_time_is_one_content_with_other_evidence_and_registered_once(
    run: Run, tmp_path: Path
) -> None:
    here, there = (in_home(tmp_path / name, run.tracking_uri) for name in ("here", "there"))
    first, second = obtained(here), obtained(there)
    assert first.content == second.content
    assert first.uri == second.uri
    assert first.digest != second.digest
    assert obtained(here, copying, corpus=first).content == obtained(there, copying, corpus=second).content
    said = {"source": "x", "run_id": run.mlflow_run, "alias": "candidate", "tags": {}}
    registered = [registry.register(run.tracking_uri, "model", corpus, **said)[1] for corpus in (first, second)]
    assert registered == [True, False]
    assert registry.resolve(run.tracking_uri, "model").artifact == first.as_(Artifact)


def test_a_step_that_is_made_afresh_is_an_attempt_beside_its_artifact_and_what_depends_on_it_is_reused(
    run: Run, tmp_path: Path
) -> None:
    first = in_home(tmp_path / "home", run.tracking_uri)
    corpus = obtained(first)
    made = obtained(first, copying, corpus=corpus)
    written = (tmp_path / "home" / corpus.uri / MANIFEST).read_bytes()

    again = in_home(tmp_path / "home", run.tracking_uri, "writing")
    assert obtained(again) == corpus
    assert (tmp_path / "home" / corpus.uri / MANIFEST).read_bytes() == written
    (attempt,) = first.store.attempts(corpus)
    assert (attempt.making.attempt, first.store.manifest(corpus.uri).making.attempt) == (2, 1)
    assert attempt.making.started > first.store.manifest(corpus.uri).making.finished
    assert obtained(again, copying, corpus=corpus) == made
    assert again.journal.find("copying", ("made",)) is None


def test_what_a_clock_says_of_a_step_is_in_its_record_and_not_in_its_figures(run: Run) -> None:
    manifest = run.store.manifest(obtained(run).uri)
    assert manifest.making.measurements.keys() == {"seconds", "component_seconds", "peak_memory_bytes"}
    assert manifest.making.measurements["peak_memory_bytes"] > 0
    assert manifest.making.root == Path(run.home).as_uri()
    assert manifest.making.user
    assert manifest.figures == {"words": 1}


class Crash(Exception):
    """What Flyte raises in the driver for an action whose process ended badly."""


def crashing(task: StepTask[Corpus], when: str) -> Any:
    """The task in a process that ends badly, before or after its work is done."""

    async def call(order: Order, config: Any, **inputs: Any) -> Corpus:
        if when == "after":
            await task(order, config, **inputs)
        raise Crash("terminated with exit code (139)")

    call.func = task.func  # type: ignore[attr-defined]
    return call


@pytest.mark.parametrize("fresh", [(), ("writing",)], ids=["first", "afresh"])
def test_a_step_whose_process_fails_after_it_has_published_has_succeeded(run: Run, fresh: tuple[str, ...]) -> None:
    if fresh:
        obtained(run)
    corpus = obtained(replace(run, options=RunOptions(fresh=fresh)), crashing(writing, "after"))
    assert (Path(run.home) / corpus.uri / "text").read_text() == "words"
    last = run.journal.last("writing")
    assert (last["event"], last["failed_after"]) == ("cached", "terminated with exit code (139)")


@pytest.mark.parametrize("fresh", [(), ("writing",)], ids=["first", "afresh"])
def test_a_step_whose_process_fails_before_that_has_failed_though_an_older_artifact_is_there(
    run: Run, fresh: tuple[str, ...]
) -> None:
    if fresh:
        obtained(run)
    with pytest.raises(Crash):
        obtained(replace(run, options=RunOptions(fresh=fresh)), crashing(writing, "before"))


def test_what_another_process_is_making_is_waited_for_and_reused(run: Run, tmp_path: Path) -> None:
    with maker(tmp_path) as process:
        with listening(lambda event: (tmp_path / "end").touch()):
            corpus = obtained(run, slow, signals(tmp_path))  # type: ignore[arg-type]
        assert process.wait() == 0
    assert [event["event"] for event in run.journal.events()] == ["waiting", "cached"]
    assert (Path(run.home) / corpus.uri / "text").read_text() == "words"
    assert run.store.count_attempts("slow", run.store.manifest(corpus.uri).cache_key) == 1
    assert calls == []


def test_a_killed_process_leaves_its_step_to_the_one_that_waits(run: Run, tmp_path: Path) -> None:
    with maker(tmp_path) as process:

        def kill(event: Event) -> None:
            if event["event"] == "waiting":
                process.kill()
                (tmp_path / "end").touch()

        with listening(kill):
            obtained(run, slow, signals(tmp_path))  # type: ignore[arg-type]
    assert [event["event"] for event in run.journal.events()] == ["waiting", "started", "made"]
    assert calls == ["slow"]
    assert len(abandoned(tmp_path)) == 1


def test_a_cached_step_does_not_wait_for_another_step_that_is_being_made(run: Run, tmp_path: Path) -> None:
    corpus = obtained(run)
    with maker(tmp_path) as process:
        assert obtained(run) == corpus
        process.kill()
    assert [event["event"] for event in run.journal.events()] == ["started", "made", "cached"]


def test_a_cached_step_does_not_wait_for_a_process_that_makes_it_afresh(run: Run, tmp_path: Path) -> None:
    (tmp_path / "end").touch()
    corpus = obtained(run, slow, signals(tmp_path))  # type: ignore[arg-type]
    key = run.store.manifest(corpus.uri).cache_key
    with making(run, "slow", key) as mine:
        assert mine
        assert obtained(run, slow, signals(tmp_path)) == corpus  # type: ignore[arg-type]
    assert calls == ["slow"]


def test_nothing_is_taken_up_while_gc_deletes(run: Run, tmp_path: Path) -> None:
    obtained(run)
    lock = Lock(tmp_path / "lock")
    assert lock.acquire("process 1 (gc)")
    waits: list[str] = []

    def deleted(event: Event) -> None:
        if event["event"] == "waiting":
            waits.append(event["why"])
            for artifact in run.store.artifacts():
                run.store.delete(artifact)
            lock.release()

    with listening(deleted):
        obtained(run)
    assert "process 1 (gc) is deleting artifacts" in waits[0]
    assert [event["event"] for event in run.journal.events()] == ["started", "made", "started", "made"]

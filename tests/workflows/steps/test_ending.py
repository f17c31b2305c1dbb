"""How the end of a run is said and recorded if it comes before its work was done."""

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from infra.mlflow import tracking
from infra.process_end import Cause
from tests.paths import ROOT
from workflows.steps import journal
from workflows.steps.ending import _End, close_dead_runs, process_facts
from workflows.steps.journal import Journal

INTERRUPTED = Cause(what="interrupted", exit_code=130, number=signal.SIGINT)


@pytest.fixture
def record(tmp_path: Path) -> Journal:
    return journal.open_journal(tmp_path / "runs")


def checkpointed(scratch: Path, step: int) -> str:
    (scratch / "checkpoints" / f"step-{step:08d}").mkdir(parents=True)
    return str(scratch)


def kinds(record: Journal) -> list[tuple[str, str]]:
    return [(event["event"], event.get("step", "")) for event in record.events()]


def test_a_training_goes_on_from_its_checkpoint(record: Journal, tmp_path: Path) -> None:
    end = _End(record)
    with journal.listening(end):
        record.write("run", recipe="tiny")
        record.write("started", step="pretraining", scratch=checkpointed(tmp_path, 90))
        journal.progress("pretraining", 92, 200, "steps")
    line = "interrupted in pretraining at step 92; the same command goes on from step 90"
    assert end.announce(INTERRUPTED) == line
    assert kinds(record)[2:] == [("interrupted", "pretraining"), ("finished", "")]
    last = record.events()[-1]
    assert (last["failed"], last["interrupted"], last["exit_code"], last["message"]) == (True, True, 130, line)


def test_another_step_starts_again(record: Journal) -> None:
    end = _End(record)
    with journal.listening(end):
        record.write("run", recipe="tiny")
        record.write("started", step="curation")
        record.write("made", step="curation")
        record.write("started", step="tokenizer")
        journal.progress("tokenizer", 10, 50, "bytes")
    onward = "the same command reuses the finished steps and starts tokenizer again"
    assert end.announce(INTERRUPTED) == f"interrupted in tokenizer (10 of 50 bytes); {onward}"


def test_between_two_steps_nothing_starts_again(record: Journal) -> None:
    record.write("run", recipe="tiny")
    assert _End(record).announce(INTERRUPTED) == "interrupted; the same command reuses the finished steps"


def test_a_death_is_a_failure(record: Journal) -> None:
    record.write("run", recipe="tiny")
    record.write("started", step="curation")
    line = _End(record).announce(Cause(what="Ray's process raylet died (signal 9)", exit_code=1))
    assert line.startswith("Ray's process raylet died (signal 9) in curation; ")
    assert kinds(record)[2:] == [("failed", "curation"), ("finished", "")]
    assert record.events()[-1]["interrupted"] is False


def opened(tmp_path: Path, **process: Any) -> tuple[Journal, str, list[str]]:
    """A run and one of its steps in journal and MLflow, both open."""
    record, uri = journal.open_journal(tmp_path / "runs"), f"sqlite:///{tmp_path}/mlflow/mlflow.db"
    runs = [tracking.start_run(uri, name) for name in ("tiny", "pretraining")]
    record.write("run", recipe="tiny", tracking_uri=uri, mlflow_run=runs[0], **process)
    record.write("started", step="pretraining", tracking_uri=uri, mlflow_run=runs[1])
    return record, uri, runs


def statuses(uri: str, runs: list[str]) -> list[str]:
    return [tracking.client(uri).get_run(run).info.status for run in runs]


DIES = """
import json, os, signal, sys
from workflows.steps.ending import process_facts
print(json.dumps(process_facts()), flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def facts_of_a_killed_process() -> dict[str, Any]:
    killed = subprocess.run([sys.executable, "-c", DIES], cwd=ROOT, capture_output=True, text=True, check=False)
    facts: dict[str, Any] = json.loads(killed.stdout)
    return facts


@pytest.mark.long
def test_a_killed_run_is_closed_in_journal_and_mlflow_by_whoever_comes_next(tmp_path: Path) -> None:
    record, uri, runs = opened(tmp_path, **facts_of_a_killed_process())
    living, _, others = opened(tmp_path, **process_facts())
    close_dead_runs(tmp_path / "runs")
    close_dead_runs(tmp_path / "runs")
    assert kinds(record) == [("run", ""), ("started", "pretraining"), ("interrupted", "pretraining"), ("finished", "")]
    assert statuses(uri, runs) == ["KILLED", "KILLED"]
    assert (len(living.events()), statuses(uri, others)) == (2, ["RUNNING", "RUNNING"])


def test_a_process_that_got_the_number_of_a_dead_one_is_not_taken_for_it(record: Journal, tmp_path: Path) -> None:
    record.write("run", recipe="tiny", **{**process_facts(), "process_started": 1.0})
    close_dead_runs(tmp_path / "runs")
    assert record.events()[-1]["event"] == "finished"


def test_of_a_process_on_another_machine_nothing_is_known(record: Journal, tmp_path: Path) -> None:
    record.write("run", recipe="tiny", **{**facts_of_a_killed_process(), "host": "elsewhere"})
    close_dead_runs(tmp_path / "runs")
    assert len(record.events()) == 1


def test_runs_on_a_cluster_and_damaged_journals_are_left_alone(tmp_path: Path) -> None:
    submitted = journal.open_journal(tmp_path / "runs", "20260101-000000-aaaa")
    submitted.write("submitted", recipe="tiny")
    (tmp_path / "runs" / "20260101-000000-bbbb").mkdir()
    close_dead_runs(tmp_path / "runs")
    close_dead_runs(tmp_path / "nothing")
    assert len(submitted.events()) == 1


def test_the_end_of_a_step_leaves_the_listener_of_its_run(record: Journal) -> None:
    """Both are of the same journal, and have seen the same events when the step ends."""
    run, first, second = _End(record), _End(record), _End(record)
    with journal.listening(run):
        with journal.listening(first):
            pass
        with journal.listening(second):
            journal.progress("sft", 1, 2, "steps")
    assert run._progress.keys() == second._progress.keys() == {"sft"}
    assert not first._progress

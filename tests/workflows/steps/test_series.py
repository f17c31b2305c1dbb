"""A training leaves its series in the directory of its run, and from a pod also in the store."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from infra.cluster.process_profile import CARRIER
from infra.cluster.profiles import to_toml
from infra.settings import Settings, settings
from tests.infra.conftest import sample_profile
from tests.infra.s3_server import BUCKET, bucket
from workflows.steps.journal import Journal
from workflows.steps.series import StepSeries, series_of

ROOT = f"s3://{BUCKET}/longrun"
RUN = "20261130-120000-abcd"


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "home" / "runs" / RUN)


@pytest.fixture
def pod(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """This process as a pod of a cluster with a real store."""
    with bucket(tmp_path / "s3-log") as url:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", url)
        monkeypatch.setenv(CARRIER, to_toml(sample_profile(artifact_root=ROOT)))
        monkeypatch.setenv("ACTION_NAME", "a1")
        yield


def test_a_series_can_be_read_while_its_step_is_running(tmp_path: Path, journal: Journal) -> None:
    own, running = Settings(home=tmp_path / "home"), StepSeries(journal, "pretraining")
    assert len(series_of(own, journal, "pretraining").steps) == 0
    running.append(1, {"loss": 3.0})
    running.append(2, {"loss": 2.0})
    assert series_of(own, journal, "pretraining").points("loss") == [(1, 3.0), (2, 2.0)]
    assert len(series_of(own, journal, "sft").steps) == 0


def test_a_series_that_cannot_be_written_ends_with_a_warning_and_the_step_goes_on(
    journal: Journal, caplog: pytest.LogCaptureFixture
) -> None:
    journal.directory.mkdir(parents=True)
    (journal.directory / "series").write_text("a file where the directory should be")
    running = StepSeries(journal, "sft")
    assert [running.append(step, {"loss": 1.0}) for step in (1, 2)] == [{"loss": 1.0}] * 2
    running.flush()
    assert [record.getMessage().partition(":")[0] for record in caplog.records] == ["the series of sft ends at step 0"]


@pytest.mark.usefixtures("pod")
def test_a_pod_leaves_its_series_in_the_store_and_the_next_pod_continues_it(tmp_path: Path) -> None:
    there = replace(settings(str(tmp_path / "elsewhere")), artifact_root=ROOT, profile="site")
    for number, steps in enumerate((range(1, 4), range(1, 6))):
        pod = Journal(tmp_path / f"pod-{number}" / "runs" / RUN)
        running = StepSeries(pod, "sft")
        for step in steps:
            speed = {"tokens_per_second": 10.0} if number == 0 or step > 2 else {}
            running.append(step, {"loss": 1 / step, **speed})
        running.flush()
    series = series_of(there, Journal(there.runs / RUN), "sft")
    assert [step for step, _ in series.points("loss")] == [1, 2, 3, 4, 5]
    assert [step for step, _ in series.points("tokens_per_second")] == [1, 2, 3, 4, 5]


@pytest.mark.usefixtures("pod")
def test_a_store_that_refuses_a_series_is_named_in_the_log_and_stops_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    running = StepSeries(Journal(tmp_path / "pod" / "runs" / RUN), "sft")
    running.append(1, {"loss": 1.0})
    monkeypatch.setenv(CARRIER, to_toml(sample_profile(artifact_root="s3://no-such-bucket/x")))
    running.flush()
    assert "the series of sft could not be stored: s3://no-such-bucket/x/series/" in caplog.text

"""Journals of a home, and of a cluster whose pods have left their events in its store."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from components.artifacts import Artifact
from components.errors import ConfigError
from infra.cluster.process_profile import CARRIER
from infra.cluster.profiles import to_toml
from infra.run_events import RunEvents
from infra.settings import Settings, settings
from tests.infra.conftest import sample_profile
from tests.infra.s3_server import BUCKET, bucket
from workflows.steps.journal import Journal
from workflows.steps.journals import BEGUN, journal_of, journals, stored_journal

ROOT = f"s3://{BUCKET}/longrun"
RUN, OLDER = "20261130-120000-abcd", "20261130-110000-abcd"
MADE = {"uri": "artifacts/pretraining/k/c", "digest": 64 * "d", "content": 64 * "c", "figures": {}}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A store in which two runs have left events."""
    with bucket(tmp_path_factory.mktemp("s3") / "log") as url, pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL_S3", url)
        lines = {
            (RUN, "driver"): [("run", 1.0), ("finished", 9.0)],
            (RUN, "a-step"): [("started", 2.0), ("made", 3.0)],
            (OLDER, "driver"): [("run", 0.5)],
        }
        for (run, pod), events in lines.items():
            facts = {"step": "pretraining", "recipe": "tiny", "failed": False, **MADE}
            text = "".join(json.dumps({"event": event, "time": time, **facts}) + "\n" for event, time in events)
            assert RunEvents(ROOT).offer(run, pod, text.encode() + b'{"cut') == ""
        yield


@pytest.fixture
def there(store: None, tmp_path: Path) -> Settings:
    """Settings that look at the cluster with that store."""
    return replace(settings(str(tmp_path / "home")), artifact_root=ROOT, profile="site")


def test_the_events_of_all_pods_of_a_run_are_one_journal_in_the_order_of_time(there: Settings) -> None:
    journal = journal_of(there, RUN)
    assert [event["event"] for event in journal.events()] == ["run", "started", "made", "finished"]
    assert journal.artifact("pretraining") == Artifact(uri=MADE["uri"], digest=64 * "d", content=64 * "c")
    assert journal.directory.is_relative_to(there.home / "copies" / "site")


@pytest.mark.parametrize("name", ["latest", RUN, f"r{RUN}", RUN[:12]])
def test_a_run_of_a_cluster_is_found_by_its_id_its_start_or_as_the_latest(there: Settings, name: str) -> None:
    assert journal_of(there, name).name == RUN


def test_a_run_that_is_not_there_is_refused_with_those_that_are(there: Settings) -> None:
    with pytest.raises(ConfigError, match=rf"run '1999' matches 0 runs of profile site; .*{OLDER}, {RUN}"):
        journal_of(there, "1999")
    with pytest.raises(ConfigError, match="matches 2 runs"):
        journal_of(there, "2026")
    assert stored_journal(ROOT, "20991130-120000-abcd", there.copies).events() == []


def test_the_runs_of_a_cluster_are_not_those_of_the_home(there: Settings) -> None:
    Journal(there.runs / "20261130-130000-abcd").write("run", recipe="mine")
    assert [journal.name for journal in journals(there)] == [RUN, OLDER]
    own = replace(there, profile="")
    assert [journal.name for journal in journals(own)] == ["20261130-130000-abcd"]
    assert journal_of(own, "latest").name == "20261130-130000-abcd"


def test_events_that_cannot_be_left_are_told_where_the_pod_prints_and_stop_nothing(
    store: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(CARRIER, to_toml(sample_profile(artifact_root="s3://no-such-bucket/x")))
    monkeypatch.setenv("ACTION_NAME", "a1")
    journal = Journal(tmp_path / RUN)
    journal.write("started", step="sft")
    assert "could not be stored: s3://no-such-bucket/x/runs/" in capsys.readouterr().err
    assert [event["event"] for event in journal.events()] == ["started"]


def test_a_pod_leaves_its_events_in_the_store_with_each_one(
    there: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(CARRIER, to_toml(sample_profile(artifact_root=ROOT)))
    monkeypatch.setenv("ACTION_NAME", "a1")
    journal = Journal(tmp_path / "pod" / "runs" / "20261130-140000-abcd")
    for event in ("started", "made"):
        journal.write(event, step="sft")
        assert journal_of(there, journal.name).events()[-1]["event"] == event


def test_latest_is_the_newest_run_of_the_kind_that_is_needed(tmp_path: Path) -> None:
    own = Settings(home=tmp_path)
    for name, event, step in (
        ("20260101-000000-aaaa", "made", "curation"),
        ("20260102-000000-bbbb", "cached", "curation"),
        ("20260103-000000-cccc", "started", "pretraining"),
        ("20260104-000000-dddd", "made", "scaling_law"),
    ):
        Journal(own.runs / name).write(event, step=step)
    Journal(own.runs / "20260105-000000-eeee").write("submitted", recipe="tiny")
    assert journal_of(own, "latest", ("curation",)).name == "20260102-000000-bbbb"
    assert journal_of(own, "latest", ("pretraining",), BEGUN).name == "20260103-000000-cccc"
    assert journal_of(own, "latest", ("text_law", "scaling_law")).name == "20260104-000000-dddd"
    assert journal_of(own, "latest").name == "20260105-000000-eeee"
    assert journal_of(own, "20260101", ("pretraining",)).name == "20260101-000000-aaaa"
    with pytest.raises(ConfigError, match="has finished step pretraining; make one with: longrun run"):
        journal_of(own, "latest", ("pretraining",))


def test_on_a_cluster_too_latest_is_the_newest_run_of_the_kind_that_is_needed(there: Settings) -> None:
    assert journal_of(there, "latest", ("pretraining",)).name == RUN
    with pytest.raises(ConfigError, match="no run of profile site has finished step scaling_law; make one with: longrun sweep"):
        journal_of(there, "latest", ("scaling_law",), make="longrun sweep")

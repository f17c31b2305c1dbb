"""Events of runs beside the artifacts: of several pods, listed by run, and never waited for."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from infra.run_events import RunEvents
from tests.infra.s3_server import BUCKET, bucket
from tests.servers import free_port


@pytest.fixture
def events(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[RunEvents]:
    with bucket(tmp_path / "log") as url:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", url)
        yield RunEvents(f"s3://{BUCKET}/longrun")


def test_each_pod_s_events_are_kept_and_replaced_by_its_later_ones(events: RunEvents) -> None:
    assert events.runs() == events.lines("20261130-120000-abcd") == []
    for pod, lines in (("driver", b"1\n"), ("step", b"2\n"), ("driver", b"1\n3\n")):
        assert events.offer("20261130-120000-abcd", pod, lines) == ""
    events.offer("20261130-110000-abcd", "driver", b"0\n")
    assert events.runs() == ["20261130-110000-abcd", "20261130-120000-abcd"]
    assert events.lines("20261130-120000-abcd") == ["1", "3", "2"]


def test_a_store_that_does_not_answer_is_told_and_not_waited_for(events: RunEvents, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("infra.bucket.RETRY", {"max_retries": 0})
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", f"http://127.0.0.1:{free_port()}")
    assert "runs/r/pod.jsonl" in events.offer("r", "pod", b"1\n")

"""A Flyte service with a run, and its profile."""

from collections.abc import Iterator

import pytest

from infra.cluster.profiles import Profile
from tests.fake_cluster.flyte_service import Action, FakeFlyte
from tests.infra.conftest import sample_profile


@pytest.fixture
def flyte() -> Iterator[FakeFlyte]:
    """A service with the run r1: its driver, a step that has ended, and one whose image is missing."""
    missing = "[ImagePullBackOff]: Back-off pulling image"
    steps = [
        Action("a0"),
        Action("curation", task="longrun-data.curation", phase="SUCCEEDED", seconds=7, task_type="ray"),
        Action(
            "pretraining", task="longrun-train.pretraining", phase="QUEUED", began=99, events=("cluster is creating", missing)
        ),
    ]
    logs = {"a0": ["driver\n"], "curation": ["shard 1\n", "shard 2\n"]}
    with FakeFlyte(actions=steps, logs=logs, runs={"r1"}).serving() as service:
        yield service


@pytest.fixture
def site(flyte: FakeFlyte) -> Profile:
    """Its profile, without a token: it listens without TLS."""
    return sample_profile(endpoint=flyte.url, secrets={})

"""A profile as a user would have it."""

from dataclasses import replace
from typing import Any

import pytest

from infra.cluster.profiles import IMAGE_GROUPS, Profile


@pytest.fixture
def profile() -> Profile:
    """A profile with every kind of value."""
    return sample_profile()


def sample_profile(**changes: Any) -> Profile:
    """A whole profile, with some values changed."""
    base = Profile(
        endpoint="https://flyte.example.org",
        project="longrun",
        image_registry="registry.example.org:5000/longrun",
        image_digests={group: "sha256:" + str(number) * 64 for number, group in enumerate(IMAGE_GROUPS)},
        artifact_root="s3://artifacts/longrun",
        mlflow_uri="https://mlflow.example.org",
        gpus=("H100", "A100"),
        checkpoint_claim="checkpoints",
        secrets={
            "MLFLOW_TRACKING_PASSWORD": "kubernetes:longrun-mlflow/password",
            "FLYTE_TOKEN": "environment:MY_FLYTE_TOKEN",
        },
    )
    return replace(base, **changes)

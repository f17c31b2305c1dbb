"""Where the pods of a Ray cluster share files."""

from dataclasses import replace
from pathlib import Path

import pytest

from infra.cluster import pods
from infra.cluster.process_profile import CARRIER
from infra.cluster.profiles import Profile, to_toml


def test_pods_of_a_ray_cluster_share_the_mounted_claim_and_everybody_else_has_the_home(
    tmp_path: Path, profile: Profile, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, mounted = tmp_path / "home", tmp_path / "checkpoints"
    monkeypatch.setattr(pods, "CHECKPOINTS", str(mounted))
    assert pods.shared_directory(home) == home
    monkeypatch.setenv(CARRIER, to_toml(profile))
    assert pods.shared_directory(home) == home  # a pod that does not mount it
    mounted.mkdir()
    assert pods.shared_directory(home) == mounted
    monkeypatch.setenv(CARRIER, to_toml(replace(profile, checkpoint_claim="")))
    assert pods.shared_directory(home) == home

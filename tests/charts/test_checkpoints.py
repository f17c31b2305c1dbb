"""The claim that the pods of a Ray cluster share: made by the chart, kept when it goes, and bound before helm stops waiting."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.charts import helm

MORE = ("--set", "storage.checkpoints.enabled=true")


def test_the_claim_is_what_the_values_say() -> None:
    claim = helm.of_kind("production", "PersistentVolumeClaim")["longrun-checkpoints"]
    assert claim["spec"] == {
        "accessModes": ["ReadWriteMany"],
        "storageClassName": "efs",
        "resources": {"requests": {"storage": "2Ti"}},
    }


def test_without_a_class_it_is_the_cluster_s_default() -> None:
    (claim,) = [d for d in helm.documents("trial", *MORE) if d["kind"] == "PersistentVolumeClaim"]
    assert "storageClassName" not in claim["spec"]


def test_a_trial_has_none() -> None:
    assert not helm.of_kind("trial", "PersistentVolumeClaim")
    assert not [name for name in helm.pod_templates("trial") if "checkpoints" in name]


@pytest.mark.parametrize("shape", ["production", "gpu"])
def test_uninstalling_leaves_it(shape: str) -> None:
    claim = helm.of_kind(shape, "PersistentVolumeClaim")["longrun-checkpoints"]
    assert claim["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"
    assert "helm.sh/hook" not in claim["metadata"]["annotations"]


def _first_user(*arguments: str) -> tuple[str, helm.Document]:
    (job,) = [item for item in helm.pod_templates("trial", *MORE, *arguments).items() if "/longrun-checkpoints-" in item[0]]
    return job


def test_a_pod_of_the_release_uses_it_so_that_a_class_which_waits_for_one_makes_the_volume() -> None:
    _, pod = _first_user()
    (volume,) = pod["spec"]["volumes"]
    assert volume["persistentVolumeClaim"]["claimName"] == "longrun-checkpoints"
    assert pod["spec"]["serviceAccountName"] == "longrun-tasks"


def test_another_image_or_claim_is_another_job_since_a_job_cannot_be_changed() -> None:
    names = [
        _first_user(*more)[0] for more in ((), ("--set", "storage.checkpoints.size=1Ti"), ("--set", "images.tracking.tag=9.9"))
    ]
    assert len(set(names)) == 3
    assert _first_user()[0] == names[0]


def _run(directory: Path) -> subprocess.CompletedProcess[str]:
    (container,) = _first_user()[1]["spec"]["containers"]
    (mount,) = container["volumeMounts"]
    words = [word.replace(mount["mountPath"], str(directory)) for word in container["command"][1:]]
    return subprocess.run([sys.executable, *words], capture_output=True, text=True, check=False)


def test_its_command_writes_and_leaves_nothing(tmp_path: Path) -> None:
    assert _run(tmp_path).returncode == 0
    assert list(tmp_path.iterdir()) == []


def test_a_volume_that_cannot_be_written_fails(tmp_path: Path) -> None:
    assert _run(tmp_path / "absent").returncode != 0
    if os.geteuid():
        tmp_path.chmod(0o500)
        assert _run(tmp_path).returncode != 0


@pytest.mark.parametrize("wrong", ["accessModes={ReadOnlyMany}", "accessModes={}", "size=big"])
def test_a_claim_that_training_could_not_use_is_refused(wrong: str) -> None:
    done = helm.render("trial", "--set", f"storage.checkpoints.{wrong}")
    assert done.returncode != 0
    assert wrong.partition("=")[0] in done.stderr

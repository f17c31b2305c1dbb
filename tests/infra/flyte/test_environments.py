"""Every task as a cluster gets it: images, pods, Ray clusters, retries; and nothing of that on one machine."""

import ast
import importlib.metadata
import json
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from flyteidl2.plugins import ray_pb2

from infra import caching, sbom
from infra.bundle import PROJECT_ROOT
from infra.cluster.process_profile import CARRIER
from infra.cluster.profiles import IMAGE_GROUPS, OTHER_IMAGES, Profile, to_toml
from infra.distributions import source_distributions
from infra.flyte import environments
from tests.fake_cluster import admission
from tests.fake_cluster.ray_plugin import ray_job
from tests.fake_cluster.schemas import ray_job_validator
from tests.infra.conftest import sample_profile

Tasks = Mapping[str, dict[str, Any]]


def serialised(profile: Profile | None, **environment: str) -> dict[str, Any]:
    """What a process of its own serialises for a cluster, or for none."""
    variables = {name: value for name, value in os.environ.items() if name != CARRIER} | environment
    variables |= {CARRIER: to_toml(profile)} if profile else {}
    command = [sys.executable, "-m", "tests.fake_cluster.serialise"]
    done = subprocess.run(command, cwd=PROJECT_ROOT, env=variables, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def on_cluster() -> dict[str, Any]:
    return serialised(sample_profile(workers=3))


@pytest.fixture(scope="module")
def tasks(on_cluster: dict[str, Any]) -> Tasks:
    return on_cluster["tasks"]


def pods(task: dict[str, Any]) -> list[dict[str, Any]]:
    """The specs of all pods of a task, as they come to be in a cluster."""
    return [pod["spec"] for pod in admission.pods(task)]


def by_container(task: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The pods of a task by the name of their main container: primary, ray-head or ray-worker."""
    return {pod["containers"][0]["name"]: pod for pod in pods(task)}


def every_pod(tasks: Tasks) -> list[dict[str, Any]]:
    return [pod for task in tasks.values() for pod in pods(task)]


@pytest.mark.long
def test_every_task_of_the_pipeline_is_serialised(tasks: Tasks) -> None:
    from workflows.steps.stages import STAGES

    functions = {name.partition(".")[2] for name in tasks}
    steps = {step for stage in STAGES.values() for step in stage}
    assert functions == steps | {
        "dedup_curve",
        "deduplication_curve",
        "pipeline",
        "run_on_cluster",
        "run_by_name",
        "sweep_on_cluster",
    }


@pytest.mark.long
def test_on_one_machine_nothing_of_a_cluster_is_loaded_or_serialised() -> None:
    alone = serialised(None)
    assert alone["loaded"] == []
    assert {task["type"] for task in alone["tasks"].values()} == {"python"}
    assert not [name for name, task in alone["tasks"].items() if "k8sPod" in task]


def test_curation_and_training_have_a_ray_cluster_and_the_others_none(tasks: Tasks, on_cluster: dict[str, Any]) -> None:
    with_ray = {name for name, task in tasks.items() if task["type"] == "ray"}
    data = {"data.curation", "data.deduplication_curve", "data.token_shards"}
    assert with_ray == data | {"train.pretraining", "train.sft", "train.dpo"}
    assert "torch" not in on_cluster["loaded"]


def test_nobody_but_the_owner_of_a_layer_tries_again(tasks: Tasks) -> None:
    assert [task["metadata"].get("retries", {}).get("retries", 0) for task in tasks.values()] == [0] * len(tasks)


def test_workers_are_as_many_as_the_profile_says_and_the_head_takes_no_work(tasks: Tasks) -> None:
    cluster = ray_job(tasks["train.pretraining"])["spec"]["rayClusterSpec"]
    (workers,) = cluster["workerGroupSpecs"]
    assert cluster["headGroupSpec"]["rayStartParams"].items() >= {"num-cpus": "0", "num-gpus": "0"}.items()
    assert {workers[name] for name in ("replicas", "minReplicas", "maxReplicas")} == {3}


def test_every_image_is_pinned_by_digest(tasks: Tasks) -> None:
    images = {container["image"] for pod in every_pod(tasks) for container in pod["containers"]}
    assert all(re.fullmatch(r"registry\.example\.org:5000/longrun/[a-z]+@sha256:[0-9a-f]{64}", image) for image in images)
    assert {image.rpartition("/")[2].partition("@")[0] for image in images} == {"train", "evaluate"}


def test_training_workers_ask_for_a_node_of_gpus_of_the_kinds_of_the_profile(tasks: Tasks) -> None:
    pod = by_container(tasks["train.sft"])["ray-worker"]
    assert pod["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] == "8"
    assert pod["tolerations"] == [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}]
    affinity = pod["affinity"]["nodeAffinity"]
    required = affinity["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]
    nvidia, gke = (term["matchExpressions"][0] for term in required)
    assert "NVIDIA-H100-80GB-HBM3" in nvidia["values"]
    assert "nvidia-h100-80gb" in gke["values"]
    assert not [value for value in nvidia["values"] + gke["values"] if "200" in value]
    weights = [term["weight"] for term in affinity["preferredDuringSchedulingIgnoredDuringExecution"]]
    assert weights == [100, 100, 50, 50]


def test_only_pods_with_gpus_tolerate_and_seek_gpu_nodes(tasks: Tasks) -> None:
    for pod in every_pod(tasks):
        gpus = pod["containers"][0]["resources"]["limits"].get("nvidia.com/gpu")
        assert (gpus is not None) == bool(pod.get("affinity")) == ("tolerations" in pod)


def test_ray_nodes_have_shared_memory_within_their_memory(tasks: Tasks) -> None:
    for name, task in tasks.items():
        for pod in pods(task) if task["type"] == "ray" else ():
            (volume,) = (volume for volume in pod["volumes"] if volume["name"] == "shared-memory")
            assert volume["emptyDir"]["medium"] == "Memory", name
            assert {"name": "shared-memory", "mountPath": "/dev/shm"} in pod["containers"][0]["volumeMounts"]
            memory = pod["containers"][0]["resources"]["limits"]["memory"]
            assert int(volume["emptyDir"]["sizeLimit"].removesuffix("Gi")) < int(memory.removesuffix("Gi")) / 2


def test_all_pods_of_a_ray_cluster_mount_the_checkpoint_claim_and_no_others(tasks: Tasks) -> None:
    for name, task in tasks.items():
        for pod in pods(task):
            claims = [
                volume["persistentVolumeClaim"]["claimName"]
                for volume in pod.get("volumes", [])
                if "persistentVolumeClaim" in volume
            ]
            assert claims == (["checkpoints"] if name.startswith(("train.", "data.")) else [])


def test_training_stands_above_evaluation(tasks: Tasks) -> None:
    classes = {name: {pod["priorityClassName"] for pod in pods(task)} for name, task in tasks.items()}
    for name, priorities in classes.items():
        assert priorities == {"longrun-evaluation" if name.startswith("evaluate.") else "longrun-training"}


def test_workers_are_spread_over_nodes_by_a_label_that_they_have(tasks: Tasks) -> None:
    for task in tasks.values():
        for pod in admission.pods(task):
            for constraint in pod["spec"].get("topologySpreadConstraints", []):
                assert constraint["labelSelector"]["matchLabels"].items() <= pod["metadata"]["labels"].items()
        assert task["type"] != "ray" or by_container(task)["ray-worker"]["topologySpreadConstraints"]


def test_every_pod_is_restricted_and_runs_as_the_tasks_account(tasks: Tasks) -> None:
    for pod in every_pod(tasks):
        assert pod["serviceAccountName"] == "longrun-tasks"
        assert pod["securityContext"].items() >= {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}.items()
        for container in (*pod.get("initContainers", []), *pod["containers"]):
            assert container["securityContext"] == {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}


def test_secrets_come_by_reference_and_the_profile_travels_with_the_driver(tasks: Tasks) -> None:
    for pod in every_pod(tasks):
        variables = {variable["name"]: variable for variable in pod["containers"][0]["env"]}
        reference = variables["MLFLOW_TRACKING_PASSWORD"]["valueFrom"]["secretKeyRef"]
        assert reference == {"name": "longrun-mlflow", "key": "password"}
        assert variables[CARRIER]["value"] == to_toml(sample_profile(workers=3))
        assert "FLYTE_TOKEN" not in variables


@pytest.mark.long
def test_no_value_of_a_secret_is_in_anything_serialised() -> None:
    planted = {
        "MY_FLYTE_TOKEN": "planted-token",
        "MLFLOW_TRACKING_PASSWORD": "planted-password",
        "AWS_SECRET_ACCESS_KEY": "planted-key",
    }
    text = json.dumps(serialised(sample_profile(), **planted))
    assert "MLFLOW_TRACKING_PASSWORD" in text
    assert [value for value in planted.values() if value in text] == []


# Each image holds its group and those before it; a step must find in its image what it imports.

IMAGES = {"cpu": "evaluate", "data": "evaluate", "train": "train", "evaluate": "evaluate", "driver": "evaluate"}


def locked(group: str) -> set[str]:
    return {name.lower().replace("_", "-") for lock in sbom.locks(group) for name in sbom.locked(lock)}


def imported(function: Any) -> set[str]:
    """Modules from outside that the step's components import."""
    trees = [ast.parse((PROJECT_ROOT / path).read_bytes()) for path in caching.reachable(function)]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module}
    return {name.partition(".")[0] for name in names} - set(sys.stdlib_module_names) - {"components"}


@pytest.mark.long
@pytest.mark.parametrize("environment", IMAGES)
def test_a_steps_image_holds_what_it_imports(environment: str, tasks: Tasks) -> None:
    import workflows.running  # noqa: F401 - defines the tasks

    # triton comes with torch's CUDA build, which is not the one that is installed everywhere
    distributions = {**importlib.metadata.packages_distributions(), "triton": ["triton"]}
    here = locked(IMAGES[environment])
    functions = {task.func.__name__: task.func for task in getattr(environments, environment).tasks.values()}
    for name in (name for name in tasks if name.startswith(f"{environment}.")):
        image = tasks[name]["k8sPod"]["podSpec"]["containers"][0]["image"]
        assert f"/{IMAGES[environment]}@" in image
        modules = imported(functions[name.partition(".")[2]])
        missing = [module for module in modules if not {d.lower().replace("_", "-") for d in distributions[module]} & here]
        assert missing == [], name


def test_a_profile_names_the_images_of_the_environments_and_of_the_retention_job_and_no_other() -> None:
    assert {*IMAGES.values(), "core"} == set(IMAGE_GROUPS)
    assert {*IMAGE_GROUPS, *OTHER_IMAGES} == set(sbom.IMAGES)


@pytest.mark.parametrize("environment", ["cpu", "data", "driver"])
def test_where_the_text_of_the_python_environment_is_read_all_of_it_is_installed(environment: str) -> None:
    assert {name.lower().replace("_", "-") for name in source_distributions()} <= locked(IMAGES[environment])


def test_vllm_comes_with_the_torch_of_training_and_the_versions_that_it_wants() -> None:
    versions = {name: version for name, (version, _) in sbom.locked("vllm").items()}
    assert versions["torch"] == sbom.locked("train")["torch"][0]
    assert versions["flyte"] == sbom.locked("core")["flyte"][0]
    assert tuple(map(int, versions["transformers"].split(".")))[:2] < (5, 20)


def test_kuberays_own_retries_are_none_because_flyte_has_no_word_for_them() -> None:
    assert not [name for name in ray_pb2.RayJob.DESCRIPTOR.fields_by_name if "backoff" in name or "retr" in name]
    assert ray_job_validator().schema["properties"]["spec"]["properties"]["backoffLimit"]["default"] == 0


@pytest.mark.parametrize(
    "spoil",
    [
        lambda job: job["spec"].update(backoffLimits=1),
        lambda job: job["spec"]["rayClusterSpec"]["headGroupSpec"]["rayStartParams"].update({"num-cpus": 0}),
        lambda job: job["spec"]["rayClusterSpec"]["workerGroupSpecs"][0]["template"]["spec"].update(tolerationz=[]),
        lambda job: job["spec"]["rayClusterSpec"]["workerGroupSpecs"][0]["template"]["spec"]["containers"][0].update(image=1),
    ],
)
def test_a_field_that_kuberay_does_not_know_is_found(spoil: Any, tasks: Tasks) -> None:
    job = ray_job(tasks["train.pretraining"])
    spoil(job)
    assert list(ray_job_validator().iter_errors(job)) != []


@pytest.mark.long
def test_no_task_of_the_pipeline_is_refused(tasks: Tasks) -> None:
    assert [f"{name}: {line}" for name, task in tasks.items() for line in admission.task_refusals(task)] == []


def test_a_profile_that_is_none_stops_serialisation_with_its_reason(tmp_path: Path) -> None:
    variables = {**os.environ, CARRIER: "endpiont = 'x'"}
    code = "import infra.flyte.environments"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=PROJECT_ROOT, env=variables, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    # Flyte prints what it leaves of a traceback to the standard output.
    assert "ConfigError: $LONGRUN_PROFILE: unknown key 'endpiont'" in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("variables", "loaded", "kind"),
    [
        ({"ACTION_NAME": "47g46j4h"}, "", "AsyncFunctionTaskTemplate"),
        ({"ACTION_NAME": "47g46j4h", "RAY_ADDRESS": "10.0.0.1:6379"}, "ray", "RayFunctionTask"),
        ({"ACTION_NAME": "a0"}, "kubernetes ray", "RayFunctionTask"),
    ],
    ids=["a step", "a step on Ray", "the driver"],
)
def test_a_step_loads_what_it_needs_to_connect_and_nothing_that_serialises(
    variables: dict[str, str], loaded: str, kind: str, profile: Profile
) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "RAY_ADDRESS"}
    code = (
        "import sys, workflows.curation as c; print(*sorted({'kubernetes', 'ray'} & set(sys.modules)), type(c.curation).__name__)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=PROJECT_ROOT,
        env={**environment, CARRIER: to_toml(profile), **variables},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == [*loaded.split(), kind]

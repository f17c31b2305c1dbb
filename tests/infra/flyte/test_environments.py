"""Every task as a cluster gets it: images, pods, Ray clusters, retries; and nothing of that on one machine."""

import ast
import functools
import gzip
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
from jsonschema import Draft202012Validator

from infra import caching, sbom
from infra.bundle import REPOSITORY
from infra.cluster.process_profile import CARRIER
from infra.cluster.profiles import Profile, to_toml
from infra.distributions import source_distributions
from infra.flyte import environments
from tests.infra.conftest import sample_profile
from tests.paths import SCHEMAS

Tasks = Mapping[str, dict[str, Any]]


def serialised(profile: Profile | None, **environment: str) -> dict[str, Any]:
    """What a process of its own serialises for a cluster, or for none."""
    variables = {name: value for name, value in os.environ.items() if name != CARRIER} | environment
    variables |= {CARRIER: to_toml(profile)} if profile else {}
    command = [sys.executable, "-m", "tests.fake_cluster.serialise"]
    done = subprocess.run(command, cwd=REPOSITORY, env=variables, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def on_cluster() -> dict[str, Any]:
    return serialised(sample_profile(workers=3))


@pytest.fixture(scope="module")
def tasks(on_cluster: dict[str, Any]) -> Tasks:
    return on_cluster["tasks"]


def ray_groups(task: dict[str, Any]) -> dict[str, dict[str, Any]]:
    cluster = task["custom"]["rayCluster"]
    return {"head": cluster["headGroupSpec"], **{group["groupName"]: group for group in cluster["workerGroupSpec"]}}


def pods(task: dict[str, Any]) -> list[dict[str, Any]]:
    """The specs of all pods of a task."""
    nodes = [group["k8sPod"] for group in ray_groups(task).values()] if task["type"] == "ray" else []
    return [pod["podSpec"] for pod in (task["k8sPod"], *nodes)]


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


def test_a_finished_ray_cluster_is_taken_down(tasks: Tasks) -> None:
    jobs = [task["custom"] for task in tasks.values() if task["type"] == "ray"]
    assert {(job["shutdownAfterJobFinishes"], job["ttlSecondsAfterFinished"]) for job in jobs} == {(True, 600)}


def test_workers_are_as_many_as_the_profile_says_and_the_head_takes_no_work(tasks: Tasks) -> None:
    groups = ray_groups(tasks["train.pretraining"])
    assert groups["head"]["rayStartParams"] == {"num-cpus": "0", "num-gpus": "0"}
    assert {groups["workers"][name] for name in ("replicas", "minReplicas", "maxReplicas")} == {3}


def test_every_image_is_pinned_by_digest(tasks: Tasks) -> None:
    images = {container["image"] for pod in every_pod(tasks) for container in pod["containers"]}
    assert all(re.fullmatch(r"registry\.example\.org:5000/longrun/[a-z]+@sha256:[0-9a-f]{64}", image) for image in images)
    assert {image.rpartition("/")[2].partition("@")[0] for image in images} == {"train", "evaluate", "vllm"}


def test_limits_are_the_requests(tasks: Tasks) -> None:
    for pod in every_pod(tasks):
        for container in pod["containers"]:
            assert container["resources"]["limits"] == container["resources"]["requests"]
            assert {"cpu", "memory"} <= set(container["resources"]["requests"])


def test_training_workers_ask_for_a_node_of_gpus_of_the_kinds_of_the_profile(tasks: Tasks) -> None:
    pod = ray_groups(tasks["train.sft"])["workers"]["k8sPod"]["podSpec"]
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
        assert (gpus is not None) == ("affinity" in pod) == ("tolerations" in pod)


@pytest.mark.long
def test_without_gpu_kinds_no_pod_asks_for_a_gpu() -> None:
    for pod in every_pod(serialised(sample_profile(gpus=()))["tasks"]):
        assert "nvidia.com/gpu" not in pod["containers"][0]["resources"]["limits"]
        assert "affinity" not in pod


def test_ray_nodes_have_shared_memory_within_their_memory(tasks: Tasks) -> None:
    for name, task in tasks.items():
        for group in ray_groups(task).values() if task["type"] == "ray" else ():
            pod = group["k8sPod"]["podSpec"]
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


@pytest.mark.long
def test_only_pods_that_read_sources_mount_their_claim_and_only_to_read() -> None:
    for name, task in serialised(sample_profile(source_claim="texts"))["tasks"].items():
        reads = name.partition(".")[0] in {"driver", "cpu", "data"}
        for pod in pods(task):
            claims = [volume["persistentVolumeClaim"] for volume in pod.get("volumes", []) if volume["name"] == "sources"]
            mounts = [mount for mount in pod["containers"][0].get("volumeMounts", []) if mount["name"] == "sources"]
            assert claims == ([{"claimName": "texts", "readOnly": True}] if reads else []), name
            assert mounts == ([{"name": "sources", "mountPath": "/sources", "readOnly": True}] if reads else []), name


def test_training_stands_above_evaluation(tasks: Tasks) -> None:
    classes = {name: {pod["priorityClassName"] for pod in pods(task)} for name, task in tasks.items()}
    for name, priorities in classes.items():
        assert priorities == {"longrun-evaluation" if name.startswith("evaluate.") else "longrun-training"}


def test_workers_are_spread_over_nodes_by_a_label_that_they_have(tasks: Tasks) -> None:
    for task in tasks.values():
        for group in ray_groups(task).values() if task["type"] == "ray" else ():
            for constraint in group["k8sPod"]["podSpec"].get("topologySpreadConstraints", []):
                labels = group["k8sPod"]["metadata"]["labels"]
                assert constraint["labelSelector"]["matchLabels"].items() <= labels.items()
        assert task["type"] != "ray" or ray_groups(task)["workers"]["k8sPod"]["podSpec"]["topologySpreadConstraints"]


def test_every_pod_is_restricted_and_runs_as_the_tasks_account(tasks: Tasks) -> None:
    for pod in every_pod(tasks):
        assert pod["serviceAccountName"] == "longrun-tasks"
        assert pod["securityContext"] == {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
        for container in pod["containers"]:
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

IMAGES = {"cpu": "evaluate", "data": "evaluate", "train": "train", "evaluate": "vllm", "driver": "evaluate"}


def locked(group: str) -> set[str]:
    return {name.lower().replace("_", "-") for lock in sbom.IMAGES[group] for name in sbom.locked(lock)}


def imported(function: Any) -> set[str]:
    """Modules from outside that the step's components import."""
    trees = [ast.parse((REPOSITORY / path).read_bytes()) for path in caching.reachable(function)]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module}
    return {name.partition(".")[0] for name in names} - set(sys.stdlib_module_names) - {"components"}


@pytest.mark.long
@pytest.mark.parametrize("environment", IMAGES)
def test_a_steps_image_holds_what_it_imports(environment: str, tasks: Tasks) -> None:
    import workflows.running  # noqa: F401 - defines the tasks

    # triton comes with torch's CUDA build, which is not the one that is installed everywhere
    distributions = {**importlib.metadata.packages_distributions(), "triton": ["torch"]}
    here = locked(IMAGES[environment])
    functions = {task.func.__name__: task.func for task in getattr(environments, environment).tasks.values()}
    for name in (name for name in tasks if name.startswith(f"{environment}.")):
        image = tasks[name]["k8sPod"]["podSpec"]["containers"][0]["image"]
        assert f"/{IMAGES[environment]}@" in image
        modules = imported(functions[name.partition(".")[2]])
        missing = [module for module in modules if not {d.lower().replace("_", "-") for d in distributions[module]} & here]
        assert missing == [], name


@pytest.mark.parametrize("environment", ["cpu", "data", "driver"])
def test_where_the_text_of_the_python_environment_is_read_all_of_it_is_installed(environment: str) -> None:
    assert {name.lower().replace("_", "-") for name in source_distributions()} <= locked(IMAGES[environment])


def test_vllm_comes_with_the_torch_of_training_and_the_versions_that_it_wants() -> None:
    versions = {name: version for name, (version, _) in sbom.locked("vllm").items()}
    assert versions["torch"] == sbom.locked("train")["torch"][0]
    assert versions["flyte"] == sbom.locked("core")["flyte"][0]
    assert tuple(map(int, versions["transformers"].split(".")))[:2] < (5, 20)


# KubeRay's own schemas, with no field allowed that they do not name.


def strict(schema: Any) -> Any:
    """The schema of a resource definition, refusing unknown fields."""
    if isinstance(schema, list):
        return [strict(entry) for entry in schema]
    if not isinstance(schema, dict):
        return schema
    made = {name: strict(value) for name, value in schema.items() if not name.startswith("x-")}
    if schema.get("x-kubernetes-int-or-string"):
        made["type"] = ["integer", "string"]
    if isinstance(schema.get("properties"), dict) and not schema.get("x-kubernetes-preserve-unknown-fields"):
        made.setdefault("additionalProperties", False)
    return made


@functools.cache
def validator() -> Draft202012Validator:
    """Of RayJob, ray.io/v1."""
    return Draft202012Validator(strict(json.loads(gzip.decompress((SCHEMAS / "rayjob.v1.json.gz").read_bytes()))))


def ray_job(task: dict[str, Any]) -> dict[str, Any]:
    """The RayJob that Flyte's Ray plugin makes of the task, with KubeRay's own retries at 0."""
    custom, groups = task["custom"], ray_groups(task)
    nodes = {
        name: {
            "rayStartParams": group.get("rayStartParams", {}),
            "template": {"metadata": group["k8sPod"]["metadata"], "spec": group["k8sPod"]["podSpec"]},
        }
        for name, group in groups.items()
    }
    counts = {name: int(groups["workers"][name]) for name in ("replicas", "minReplicas", "maxReplicas")}
    return {
        "apiVersion": "ray.io/v1",
        "kind": "RayJob",
        "metadata": {"name": "job", "namespace": "longrun"},
        "spec": {
            "backoffLimit": 0,
            "shutdownAfterJobFinishes": custom["shutdownAfterJobFinishes"],
            "ttlSecondsAfterFinished": int(custom["ttlSecondsAfterFinished"]),
            "submitterPodTemplate": {"spec": task["k8sPod"]["podSpec"]},
            "rayClusterSpec": {
                "enableInTreeAutoscaling": custom["rayCluster"].get("enableAutoscaling", False),
                "headGroupSpec": nodes["head"],
                "workerGroupSpecs": [{"groupName": "workers", **counts, **nodes["workers"]}],
            },
        },
    }


@pytest.mark.long
def test_every_ray_job_is_one_by_kuberays_schema(tasks: Tasks) -> None:
    checks = validator()
    for name, task in tasks.items():
        if task["type"] == "ray":
            assert [f"{name}: {error.json_path}: {error.message[:200]}" for error in checks.iter_errors(ray_job(task))] == []


def test_kuberays_own_retries_are_none_because_flyte_has_no_word_for_them() -> None:
    assert not [name for name in ray_pb2.RayJob.DESCRIPTOR.fields_by_name if "backoff" in name or "retr" in name]
    assert validator().schema["properties"]["spec"]["properties"]["backoffLimit"]["default"] == 0


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
    assert list(validator().iter_errors(job)) != []


def test_a_profile_that_is_none_stops_serialisation_with_its_reason(tmp_path: Path) -> None:
    variables = {**os.environ, CARRIER: "endpiont = 'x'"}
    code = "import infra.flyte.environments"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY, env=variables, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    # Flyte prints what it leaves of a traceback to the standard output.
    assert "ConfigError: $LONGRUN_PROFILE: unknown key 'endpiont'" in done.stdout + done.stderr

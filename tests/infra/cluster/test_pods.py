"""Pods as a cluster gets them, after Flyte's Ray plugin and KubeRay had their hands on them, for every kind of profile."""

import itertools
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from flyte._internal.runtime.task_serde import translate_task_to_wire
from flyte.models import SerializationContext
from google.protobuf.json_format import MessageToDict

from infra.bundle import PROJECT_ROOT
from infra.cluster import pods
from infra.cluster.process_profile import CARRIER
from infra.cluster.profiles import Profile, to_toml
from infra.flyte.environments import environment
from tests.fake_cluster import admission
from tests.fake_cluster.ray_plugin import ray_job
from tests.infra.conftest import sample_profile
from tests.servers import free_port

Json = dict[str, Any]

ENVIRONMENTS = ("driver", "cpu", "data", "train", "evaluate")
KEYS = {
    "AWS_ACCESS_KEY_ID": "kubernetes:object-store/AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY": "kubernetes:object-store/AWS_SECRET_ACCESS_KEY",
}


def task(profile: Profile, name: str) -> Json:
    """A task of an environment as Flyte gets it."""
    made = environment(name, profile)

    @made.task
    async def step() -> None:
        """Does nothing."""

    context = SerializationContext(version="1", project="longrun", domain="development", root_dir=PROJECT_ROOT)
    wire: Json = MessageToDict(translate_task_to_wire(step, context))["taskTemplate"]
    return wire


def pods_of(profile: Profile, name: str) -> list[Json]:
    """What the pods of a step are in a cluster."""
    return [pod["spec"] for pod in admission.pods(task(profile, name))]


PROFILES = {
    f"{size}, {workers} workers, {claims or 'no'} claims, {'keys' if secrets else 'identity'}": sample_profile(
        gpus=gpus,
        size=size,
        workers=workers,
        checkpoint_claim="checkpoints" if claims else "",
        source_claim="texts" if claims == "both" else "",
        secrets=secrets,
        object_store_endpoint="http://longrun-store:8333" if secrets else "",
    )
    for (gpus, size), (workers, claims), secrets in itertools.product(
        ((("H100", "A100"), "gpu"), ((), "trial")), ((0, ""), (0, "both"), (2, "one"), (2, "both")), ({}, KEYS)
    )
}


@pytest.mark.parametrize("case", PROFILES)
def test_no_pod_of_any_environment_is_refused(case: str) -> None:
    refused = [line for name in ENVIRONMENTS for line in admission.task_refusals(task(PROFILES[case], name))]
    assert refused == []


def test_what_stands_in_the_task_s_pod_and_in_its_nodes_is_found() -> None:
    profile, wire = sample_profile(), task(sample_profile(), "train")
    head = wire["custom"]["rayCluster"]["headGroupSpec"]["k8sPod"]["podSpec"]
    head["containers"][0]["env"] = [{"name": CARRIER, "value": to_toml(profile)}]
    head["volumes"] += wire["k8sPod"]["podSpec"]["volumes"]
    refused = " ".join(admission.task_refusals(wire))
    assert CARRIER in refused
    assert '"checkpoints"' in refused


@pytest.mark.parametrize("workers", [0, 2])
def test_ray_s_pods_have_probes_of_their_own_that_need_no_program(workers: int) -> None:
    for pod in pods_of(sample_profile(workers=workers), "data"):
        container = pod["containers"][0]
        head = container["name"] == "ray-head"
        asked = {
            name: (container[name]["httpGet"]["path"], container[name]["httpGet"]["port"])
            for name in container
            if "Probe" in name
        }
        agent = ("/api/local_raylet_healthz", 52365)
        assert asked == {
            "startupProbe": ("/api/gcs_healthz", 8265) if head else agent,
            "readinessProbe": agent,
            "livenessProbe": agent,
        }
        assert "wget" not in str(pod)
        assert container["startupProbe"]["periodSeconds"] == 1
        assert "initialDelaySeconds" not in container["startupProbe"]


def test_ray_s_agent_answers_the_path_and_has_the_port_that_the_probes_ask() -> None:
    from ray._private.ray_constants import DEFAULT_DASHBOARD_AGENT_LISTEN_PORT
    from ray.dashboard.http_server_agent import PUBLIC_EXACT_PATHS

    assert DEFAULT_DASHBOARD_AGENT_LISTEN_PORT == pods.AGENT_PORT
    assert "/api/local_raylet_healthz" in PUBLIC_EXACT_PATHS, "not asked for a token"


@pytest.mark.slow
@pytest.mark.ray
def test_a_head_started_with_our_options_answers_its_probes_on_the_address_of_its_pod() -> None:
    cluster = ray_job(task(sample_profile(gpus=(), size="trial"), "train"))["spec"]["rayClusterSpec"]
    (pod,) = pods_of(sample_profile(gpus=(), size="trial"), "train")
    address = socket.gethostbyname(socket.gethostname())
    ports = {pods.DASHBOARD_PORT: free_port(), pods.AGENT_PORT: free_port()}  # others on this machine may have those
    own = {"dashboard-port": str(ports[pods.DASHBOARD_PORT]), "dashboard-agent-listen-port": str(ports[pods.AGENT_PORT])}
    params = cluster["headGroupSpec"]["rayStartParams"] | own | {"node-ip-address": address, "port": str(free_port())}
    flags = [f"--{name}" if name == "disable-usage-stats" else f"--{name}={value}" for name, value in params.items()]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    # paths of Ray's sockets are short
    with tempfile.TemporaryDirectory(prefix="ray-", dir="/tmp") as short:
        command = [str(Path(sys.executable).with_name("ray")), "start", "--head", "--block", *flags, f"--temp-dir={short}"]
        with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as ray:
            try:
                for kind in ("startupProbe", "readinessProbe", "livenessProbe"):
                    asked = pod["containers"][0][kind]["httpGet"]
                    assert answer(ray, f"http://{address}:{ports[asked['port']]}{asked['path']}") == "success"
            finally:
                ray.terminate()
                ray.wait(timeout=60)


def answer(ray: subprocess.Popen[bytes], url: str, seconds: float = 120) -> str:
    """What is there, as soon as it answers well; Ray must not end before."""
    deadline = time.monotonic() + seconds
    while True:
        assert ray.poll() is None, "ray start has ended"
        try:
            with urllib.request.urlopen(url, timeout=5) as response:
                return str(response.read().decode())
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


def test_ray_listens_where_the_probes_ask() -> None:
    cluster = ray_job(task(sample_profile(workers=2), "train"))["spec"]["rayClusterSpec"]
    groups = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]]
    assert {group["rayStartParams"]["dashboard-agent-listen-port"] for group in groups} == {"52365"}
    assert groups[0]["rayStartParams"]["dashboard-port"] == "8265"
    assert groups[0]["rayStartParams"]["include-dashboard"] == "true"  # KubeRay submits through it


def test_ray_gives_to_work_what_the_pods_that_work_have() -> None:
    def params(profile: Profile, group: int) -> tuple[str, str, int]:
        cluster = ray_job(task(profile, "train"))["spec"]["rayClusterSpec"]
        start = [cluster["headGroupSpec"], *cluster["workerGroupSpecs"]][group]["rayStartParams"]
        return start["num-cpus"], start["num-gpus"], int(start["object-store-memory"])

    trial = sample_profile(gpus=(), size="trial")
    assert params(trial, 0) == ("2", "0", int(0.7 * 512 * 2**20))
    assert params(replace(trial, sizes={"train": {"cores": "3", "shared_memory": "1Gi"}}), 0) == ("3", "0", int(0.7 * 2**30))
    assert params(sample_profile(), 0)[:2] == ("80", "8")
    assert params(sample_profile(workers=2), 0)[:2] == ("0", "0")
    assert params(sample_profile(workers=2), 1)[:2] == ("80", "8")


def test_a_finished_ray_cluster_gives_its_machines_back_at_once_and_the_job_stays() -> None:
    job = ray_job(task(sample_profile(), "train"))["spec"]
    assert (job["shutdownAfterJobFinishes"], job["ttlSecondsAfterFinished"]) == (True, 0)


def test_requests_and_limits_are_those_of_the_profile_s_size() -> None:
    profile = sample_profile(gpus=(), size="trial", sizes={"evaluate": {"cores": "1", "memory": "6Gi"}})
    for name in ENVIRONMENTS:
        for pod in pods_of(profile, name):
            size = profile.size_of(name)
            assert pod["containers"][0]["resources"] == {"requests": size.requests, "limits": size.limits}


def test_pods_read_the_store_by_reference_and_each_variable_once() -> None:
    profile = sample_profile(secrets=KEYS, object_store_endpoint="http://longrun-store:8333")
    for name in ENVIRONMENTS:
        for pod in pods_of(profile, name):
            entries = pod["containers"][0]["env"]
            variables = {entry["name"]: entry for entry in entries}
            assert len(variables) == len(entries)
            assert variables["FLYTE_AWS_ENDPOINT"]["value"] == "http://longrun-store:8333"
            reference = variables["FLYTE_AWS_SECRET_ACCESS_KEY"]["valueFrom"]["secretKeyRef"]
            assert reference == {"name": "object-store", "key": "AWS_SECRET_ACCESS_KEY"}


def test_what_longrun_sets_for_ray_s_processes_is_there_before_they_start() -> None:
    for pod in pods_of(sample_profile(workers=2), "train"):
        values = {entry["name"]: entry.get("value") for entry in pod["containers"][0]["env"]}
        assert {"DO_NOT_TRACK", "RAY_USAGE_STATS_ENABLED", "RAY_TRAIN_V2_ENABLED"} <= set(values)


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_without_gpu_kinds_no_pod_asks_for_a_gpu(name: str) -> None:
    for pod in pods_of(sample_profile(gpus=()), name):
        assert "nvidia.com/gpu" not in pod["containers"][0]["resources"]["limits"]
        assert not pod.get("affinity")


@pytest.mark.parametrize("name", ENVIRONMENTS)
def test_only_pods_that_read_sources_mount_their_claim_and_only_to_read(name: str) -> None:
    reads = name in {"driver", "cpu", "data"}
    for pod in pods_of(sample_profile(source_claim="texts", workers=1), name):
        claims = [volume["persistentVolumeClaim"] for volume in pod.get("volumes", []) if volume["name"] == "sources"]
        mounts = [mount for mount in pod["containers"][0].get("volumeMounts", []) if mount["name"] == "sources"]
        assert claims == ([{"claimName": "texts", "readOnly": True}] if reads else [])
        assert mounts == ([{"name": "sources", "mountPath": "/sources", "readOnly": True}] if reads else [])


def test_a_pod_without_ray_computes_with_its_own_processors_and_not_with_its_node_s() -> None:
    profile = sample_profile(gpus=(), sizes={"evaluate": {"cores": "3500m"}})
    for name, threads in {"evaluate": "3", "cpu": "2", "train": None}.items():
        (pod,) = pods_of(profile, name)
        values = {entry["name"]: entry.get("value") for entry in pod["containers"][0]["env"]}
        assert values.get("OMP_NUM_THREADS") == values.get("NUMBA_NUM_THREADS") == threads


def test_a_mounted_volume_belongs_to_the_user_of_the_images() -> None:
    for name in ENVIRONMENTS:
        for pod in pods_of(sample_profile(source_claim="texts"), name):
            assert pod["securityContext"]["fsGroup"] == 1000


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

"""The rules by which the fake cluster refuses: each is broken once, as the API server, Pod Security or KubeRay would find it."""

import copy
from typing import Any

import pytest

from tests.fake_cluster import pod_rules, pod_security
from tests.fake_cluster.admission import pods, task_refusals
from tests.fake_cluster.flyte_pods import Execution, Settings, pod_of
from tests.fake_cluster.list_rules import pod_refusals, refusals
from tests.fake_cluster.ray_plugin import merged, overlaid, ray_job
from tests.fake_cluster.sample_tasks import RESTRICTED, container, spec, task

Json = dict[str, Any]


def test_what_stands_in_the_task_alone_is_taken_by_all_pods() -> None:
    mount = {"name": "checkpoints", "mountPath": "/checkpoints"}
    volume = {"name": "checkpoints", "persistentVolumeClaim": {"claimName": "c"}}
    once = task(container("primary", env=[{"name": "A", "value": "1"}], volumeMounts=[mount]), {}, volumes=[volume])
    assert task_refusals(once) == []
    for pod in pods(once):
        assert {"name": "A", "value": "1"} in pod["spec"]["containers"][0]["env"]
        assert mount in pod["spec"]["containers"][0]["volumeMounts"]


@pytest.mark.parametrize(
    ("field", "value", "refused"),
    [
        ("env", [{"name": "A", "value": "1"}], '{"name": "A"}'),
        ("volumeMounts", [{"name": "v", "mountPath": "/v"}], '{"mountPath": "/v"}'),
        ("ports", [{"name": "health", "containerPort": 52365}], '{"containerPort": 52365, "protocol": "TCP"}'),
    ],
)
def test_what_stands_in_the_task_and_in_its_group_is_there_twice_and_refused(field: str, value: list[Json], refused: str) -> None:
    volumes = [{"name": "v", "emptyDir": {}}]
    head = {"containers": [container("ray-head", **{field: value})]}
    twice = task(container("primary", **{field: value}), {"head": head}, volumes=volumes)
    assert any(f"Duplicate value: {refused}" in line and "headGroupSpec" in line for line in task_refusals(twice))
    only_head = task(container("primary"), {"head": head}, volumes=volumes)
    assert task_refusals(only_head) == []


def test_a_volume_in_both_is_refused_and_in_the_group_alone_taken() -> None:
    volume = {"name": "v", "emptyDir": {}}
    assert any(
        'Duplicate value: {"name": "v"}' in line
        for line in task_refusals(task(container("primary"), {"head": {"volumes": [volume]}}, volumes=[volume]))
    )
    assert task_refusals(task(container("primary"), {"head": {"volumes": [volume]}})) == []


def test_a_port_that_the_plugin_adds_itself_is_refused_from_the_task() -> None:
    clash = task(container("primary", ports=[{"name": "web", "containerPort": 8265}]), {})
    assert any('{"containerPort": 8265, "protocol": "TCP"}' in line for line in task_refusals(clash))


def test_a_group_decides_its_resources_and_a_container_that_the_task_lacks_is_dropped() -> None:
    large = container("ray-head", resources={"limits": {"cpu": "4"}, "requests": {"cpu": "4"}})
    job = ray_job(task(container("primary"), {"head": {"containers": [large, container("beside")]}}))
    head = job["spec"]["rayClusterSpec"]["headGroupSpec"]["template"]["spec"]
    assert [c["name"] for c in head["containers"]] == ["ray-head"]
    assert head["containers"][0]["resources"]["limits"] == {"cpu": "4", "memory": "1Gi"}
    assert head["containers"][0]["args"] == []


def test_values_are_merged_as_mergo_does() -> None:
    assert merged({"a": 1, "b": {"c": [1]}}, {"a": 0, "b": {"c": [1], "d": 2}}) == {"a": 1, "b": {"c": [1, 1], "d": 2}}
    assert overlaid({"containers": [], "volumes": [1]}, {"containers": [{"name": "x"}]}) == {"containers": [], "volumes": [1]}


def test_the_name_of_a_long_action_is_a_hash_and_kuberay_takes_it() -> None:
    job = ray_job(task(container("primary"), {}), Execution(run="r" * 20, action="1" * 30))
    assert job["metadata"]["name"].startswith("f")
    assert len(job["metadata"]["name"]) == 8
    assert refusals(job) == []


def test_flytes_own_variables_are_appended_to_those_of_the_task() -> None:
    named = Settings(k8s={"default-env-vars": {"A": "2"}})
    assert any(
        "env" in line for line in task_refusals(task(container("primary", env=[{"name": "A", "value": "1"}])), None, named)
    )


def test_a_pod_without_context_gets_the_configured_one_whole() -> None:
    bare = task(container("primary"))
    bare["k8sPod"]["podSpec"].pop("securityContext")
    assert pod_of(bare)["spec"]["securityContext"]["fsGroup"] == 1000
    assert "fsGroup" not in pod_of(task(container("primary")))["spec"]["securityContext"]


BROKEN: dict[str, dict[str, Any]] = {
    "Not found: 'none'": {"volumeMounts": [{"name": "none", "mountPath": "/x"}]},
    "must be less than or equal": {"resources": {"requests": {"cpu": "2"}, "limits": {"cpu": "1500m"}}},
    "is no quantity": {"resources": {"limits": {"memory": "16 GB"}}},
    "non overcommitable": {"resources": {"requests": {"nvidia.com/gpu": "1"}}},
    "must be an integer": {"resources": {"limits": {"nvidia.com/gpu": "500m"}}},
    "is no name of a variable": {"env": [{"name": "1A", "value": "x"}]},
    "may not be specified": {"env": [{"name": "A", "value": "x", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}]},
    "secretKeyRef: name and key are required": {"env": [{"name": "A", "valueFrom": {"secretKeyRef": {"name": "", "key": "k"}}}]},
    "is no name of 15 characters": {"ports": [{"name": "a-very-long-port", "containerPort": 1}]},
    "Duplicate value: same": {"ports": [{"name": "same", "containerPort": 1}, {"name": "same", "containerPort": 2}]},
    "must specify exactly one handler": {"readinessProbe": {"periodSeconds": 5}},
    "is no DNS label": {"name": "Ray_Head"},
    "Additional properties": {"imagePullSecret": "x"},
    "image:": {"image": " r/i"},
}


@pytest.mark.parametrize("reason", BROKEN)
def test_a_broken_rule_of_a_container_is_found(reason: str) -> None:
    assert pod_refusals(spec(container("c"))) == []
    assert any(reason in line for line in pod_refusals(spec(container("c") | BROKEN[reason])))


BROKEN_PODS: dict[str, dict[str, Any]] = {
    "must have exactly one source": {"volumes": [{"name": "v", "emptyDir": {}, "secret": {"secretName": "s"}}]},
    "claimName: Required value": {"volumes": [{"name": "v", "persistentVolumeClaim": {"claimName": ""}}]},
    "is no DNS subdomain": {"priorityClassName": "Longrun"},
    "restartPolicy": {"restartPolicy": "Sometimes"},
    "value must be empty": {"tolerations": [{"key": "a", "operator": "Exists", "value": "b"}]},
    "weight 0": {
        "affinity": {"nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [{"weight": 0, "preference": {}}]}}
    },
    "nodeSelectorTerms": {
        "affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": []}}}
    },
    "Duplicate value: c": {"initContainers": [container("c")]},
    'Duplicate value: {"topologyKey"': {
        "topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "h", "whenUnsatisfiable": "ScheduleAnyway"}] * 2
    },
    "volume host": {"volumes": [{"name": "host", "hostPath": {"path": "/"}}]},
    "hostNetwork": {"hostNetwork": True},
}


@pytest.mark.parametrize("reason", BROKEN_PODS)
def test_a_broken_rule_of_a_pod_is_found(reason: str) -> None:
    assert any(reason in line for line in pod_refusals(spec(container("c")) | BROKEN_PODS[reason]))


@pytest.mark.parametrize("field", ["allowPrivilegeEscalation", "capabilities"])
def test_a_container_that_is_not_restricted_is_found(field: str) -> None:
    loose = {name: value for name, value in RESTRICTED.items() if name != field}
    assert pod_security.violations(spec(container("c") | {"securityContext": loose})) != []


def test_a_pod_that_may_be_root_is_found() -> None:
    for context in (
        {},
        {"runAsNonRoot": True},
        {"runAsNonRoot": True, "runAsUser": 0, "seccompProfile": {"type": "RuntimeDefault"}},
    ):
        assert pod_security.violations(spec(container("c")) | {"securityContext": context}) != []


@pytest.mark.parametrize(
    ("text", "number"), [("500m", "0.5"), ("1Gi", "1073741824"), ("2", "2"), ("1e3", "1000"), ("0.5", "0.5"), ("3k", "3000")]
)
def test_quantities_are_read(text: str, number: str) -> None:
    assert str(float(pod_rules.quantity(text))) == str(float(number))


SPOILED: dict[str, Any] = {
    "backoffLimits": lambda job: job["spec"].update(backoffLimits=1),
    "num-cpus": lambda job: job["spec"]["rayClusterSpec"]["headGroupSpec"]["rayStartParams"].update({"num-cpus": 0}),
    "RayJob name should be no more than 47": lambda job: job["metadata"].update(name="r" * 48),
    "valid DNS1035 label": lambda job: job["metadata"].update(name="4" * 8),
    "cannot have TTLSecondsAfterFinished": lambda job: job["spec"].update(
        shutdownAfterJobFinishes=False, ttlSecondsAfterFinished=5
    ),
    "minReplicas 3 greater than": lambda job: job["spec"]["rayClusterSpec"]["workerGroupSpecs"][0].update(minReplicas=3),
    "resource fields should not be set in both": lambda job: job["spec"]["rayClusterSpec"]["headGroupSpec"].update(
        resources={"CPU": "1"}
    ),
    "SidecarMode doesn't support": lambda job: job["spec"].update(
        submissionMode="SidecarMode", submitterPodTemplate={"spec": spec(container("s"))}
    ),
    "is no label of 63": lambda job: job["spec"]["rayClusterSpec"]["headGroupSpec"]["template"]["metadata"]["labels"].update(
        a="x" * 64
    ),
    "is no qualified name": lambda job: job["metadata"]["labels"].update({"a b": "c"}),
}


@pytest.mark.parametrize("reason", SPOILED)
def test_a_spoiled_ray_job_is_refused(reason: str) -> None:
    job = copy.deepcopy(ray_job(task(container("primary"), {})))
    assert refusals(job) == []
    SPOILED[reason](job)
    assert any(reason in line for line in refusals(job))


def test_kuberay_adds_probes_that_want_wget_where_a_pod_has_none() -> None:
    head, *workers = pods(task(container("primary"), {}))
    for pod in (head, *workers):
        for probe in ("livenessProbe", "readinessProbe"):
            assert "wget" in pod["spec"]["containers"][0][probe]["exec"]["command"][2]
    own = {"httpGet": {"path": "/api/local_raylet_healthz", "port": 52365}}
    probed = container("ray-head", livenessProbe=own, readinessProbe=own)
    head = pods(task(container("primary"), {"head": {"containers": [probed]}}))[0]
    assert head["spec"]["containers"][0]["livenessProbe"] == own


def test_workers_wait_for_the_head_with_their_own_image_and_security() -> None:
    worker = pods(task(container("primary"), {}))[1]
    (waiting,) = worker["spec"]["initContainers"]
    assert waiting["image"] == "r/i@sha256:1"
    assert waiting["securityContext"] == RESTRICTED
    assert worker["metadata"]["labels"]["ray.io/node-type"] == "worker"

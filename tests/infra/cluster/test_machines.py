"""What the steps of a cluster ask for, and that a trial's node has it."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pytest
import yaml

from infra.cluster.machines import Machine, RayMachines, machines, requests
from infra.cluster.profiles import Profile
from infra.cluster.sizes import cores, in_bytes
from tests.charts import helm
from tests.infra.conftest import sample_profile

NODE = (2.0, 8 * 2**30)
"""Cores and bytes of the smallest node that a trial is for."""

KUBERNETES = (0.95, 290 * 2**20)
"""What kind's own pods request on a node alone: API server 250m, controllers 200m, scheduler, etcd, kindnet 100m each, two name
servers of 100m; 100, 50 and twice 70 MiB."""


def trial(**changes: Any) -> Profile:
    return sample_profile(gpus=(), size="trial", **changes)


def asked_by_services() -> Iterator[tuple[float, int]]:
    """Cores and bytes that what stays up in a trial requests: our chart's pods, KubeRay's operator, Flyte and its console."""
    for name, template in helm.pod_templates("trial").items():
        if not name.startswith(("Job/", "CronJob/", "Pod/")):
            yield from (_asked(container) for container in template["spec"]["containers"])
    values = {
        name: yaml.safe_load((helm.ROOT / "charts" / "values" / f"{name}.yaml").read_text()) for name in ("kuberay", "flyte")
    }
    yield from (_asked(pod) for pod in (values["kuberay"], values["flyte"]["deployment"], values["flyte"]["console"]))


def _asked(container: dict[str, Any]) -> tuple[float, int]:
    asked = container["resources"]["requests"]
    return cores(str(asked["cpu"])), in_bytes(str(asked["memory"]))


def total(amounts: Iterator[tuple[float, int]]) -> tuple[Decimal, int]:
    pairs = list(amounts)
    return sum((Decimal(str(pair[0])) for pair in pairs), Decimal(0)), sum(pair[1] for pair in pairs)


@pytest.mark.parametrize("environment", ["cpu", "data", "train", "evaluate"])
def test_each_step_of_a_trial_fits_a_node_of_two_cores_beside_services_and_driver(environment: str) -> None:
    services = total(asked_by_services())
    assert services > (0, 0)
    step = total((pod.cores * pod.count, pod.memory * pod.count) for pod in requests(trial())[environment])
    assert services[0] + step[0] + Decimal(str(KUBERNETES[0])) <= NODE[0]
    assert services[1] + step[1] + KUBERNETES[1] <= NODE[1]


def test_no_pod_of_a_trial_may_take_more_than_its_node_has() -> None:
    for machine in machines(trial()).values():
        size = (machine.head if isinstance(machine, RayMachines) else machine).size
        assert cores(size.cores) <= NODE[0]
        assert in_bytes(size.memory) < NODE[1]


def test_without_workers_a_ray_cluster_is_one_pod_whose_head_works() -> None:
    for name in ("data", "train"):
        cluster = machines(trial())[name]
        assert isinstance(cluster, RayMachines)
        assert (cluster.worker, cluster.works, cluster.threads, cluster.gpus) == (None, True, 2, 0)


def test_with_workers_the_head_is_small_and_they_have_what_there_is_to_work_with() -> None:
    cluster = machines(sample_profile(workers=3))["train"]
    assert isinstance(cluster, RayMachines)
    assert isinstance(cluster.worker, Machine)
    assert (cluster.works, cluster.head.gpus, cluster.worker.gpus) == (False, 0, 8)
    assert (cluster.threads, cluster.gpus) == (240, 24)


def test_a_lone_head_has_the_gpus() -> None:
    cluster = machines(sample_profile(gpus_per_worker=2))["train"]
    assert isinstance(cluster, RayMachines)
    assert (cluster.head.gpus, cluster.gpus, cluster.threads) == (2, 2, 20)


def test_a_step_asks_for_its_driver_and_every_pod_of_its_ray_cluster() -> None:
    asked = requests(sample_profile(workers=3))
    assert {name: [(pod.pod, pod.count, pod.gpus) for pod in pods] for name, pods in asked.items()} == {
        "cpu": [("driver", 1, 0), ("cpu", 1, 0)],
        "data": [("driver", 1, 0), ("data-head", 1, 0), ("data", 3, 0)],
        "train": [("driver", 1, 0), ("train-head", 1, 0), ("train", 3, 8)],
        "evaluate": [("driver", 1, 0), ("evaluate", 1, 1)],
    }
    assert [(pod.pod, pod.cores, pod.memory) for pod in requests(trial())["data"]] == [
        ("driver", 0.05, 512 * 2**20),
        ("data", 0.1, 2560 * 2**20),
    ]


def test_a_pod_fits_where_there_is_all_that_it_asks_for_and_says_what_that_is() -> None:
    _, pod = requests(sample_profile(gpus_per_worker=1))["train"]
    assert str(pod) == "requests 10 cores, 100.0 GiB, 1 GPUs"
    assert str(requests(trial())["data"][1]) == "requests 0.1 cores, 2.5 GiB"
    assert pod.fits(10, 100 * 2**30, 1)
    assert [pod.fits(*node) for node in ((9.9, 2**40, 8), (96, 99 * 2**30, 8), (96, 2**40, 0))] == [False] * 3

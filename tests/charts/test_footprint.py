"""The trial on a node of 2 cores and 8 GiB: Kubernetes, the services of three charts, the driver and any one step of `tiny`."""

from collections.abc import Iterable, Mapping
from decimal import Decimal

import pytest

from infra.cluster.sizes import SIZES, Size
from tests.charts import helm, operators
from tests.charts.tasks import task_pods
from tests.fake_cluster.pod_rules import quantity

Amount = tuple[Decimal, Decimal]
"""Cores and bytes."""

NODE: Amount = (Decimal(2), quantity("8Gi") - quantity("100Mi"))
"""Less what the kubelet holds back by default (`memory.available<100Mi`)."""

KIND: Amount = (quantity("950m"), quantity("290Mi"))
"""What kind's node asks for itself: kubeadm's API server 250m, controllers 200m, scheduler 100m, etcd 100m and 100Mi,
kindnet 100m and 50Mi, two CoreDNS of 100m and 70Mi. Other small clusters ask for less."""


def asked(pod: helm.Document, what: str = "requests") -> Amount:
    """What a pod asks for: all its containers together, or one that runs before them if that is more."""
    spec = pod["spec"]

    def amount(name: str) -> Decimal:
        first = [quantity(c["resources"][what][name]) for c in spec.get("initContainers", [])]
        return max([sum(quantity(c["resources"][what][name]) for c in spec["containers"]), *first])

    return amount("cpu"), amount("memory")


def total(amounts: Iterable[Amount]) -> Amount:
    """All together."""
    listed = list(amounts)
    return sum((cpu for cpu, _ in listed), Decimal()), sum((memory for _, memory in listed), Decimal())


def services(what: str = "requests") -> Amount:
    """What stays up: one pod of each Deployment and StatefulSet of the three charts."""
    ours = {name: pod for name, pod in helm.pod_templates("trial").items() if name.startswith(("Deployment", "StatefulSet"))}
    assert len(ours) == 3
    return total(asked(pod, what) for pod in [*ours.values(), *operators.pods().values()])


def too_large(pods: Mapping[str, Iterable[helm.Document]], driver: helm.Document) -> list[str]:
    """Tasks whose pods the node has no room for, beside Kubernetes, the services and the driver."""
    there = total([KIND, services(), asked(driver)])
    wanted = {name: total([there, *map(asked, made)]) for name, made in pods.items()}
    return [name for name, (cpu, memory) in wanted.items() if cpu > NODE[0] or memory > NODE[1]]


def test_one_replica_of_each_is_counted_since_a_trial_has_no_more() -> None:
    made = helm.of_kind("trial", "Deployment", "StatefulSet")
    assert {name: maker["spec"]["replicas"] for name, maker in made.items()} == dict.fromkeys(made, 1)
    assert operators.values("flyte")["console"]["replicaCount"] == operators.values("kuberay")["replicas"] == 1


def test_the_page_says_what_the_services_ask_for() -> None:
    page = (helm.ROOT / "charts" / "README.md").read_text()
    cpu, memory = services()
    may = services("limits")[1]
    assert f"request {cpu:.2f} cores and {memory / 2**30:.1f} GiB" in page
    assert f"may take {may / 2**30:.1f} GiB" in page


@pytest.mark.long
def test_every_step_at_the_size_of_a_trial_fits_beside_what_runs_it() -> None:
    pods = dict(task_pods())
    (driver,) = pods["driver.run_on_cluster"]
    steps = {name: made for name, made in pods.items() if not name.startswith("driver.")}
    assert {name.partition(".")[0] for name in steps} == {"cpu", "data", "train", "evaluate"}
    assert too_large(steps, driver) == []


def _pod(size: Size) -> helm.Document:
    return {"spec": {"containers": [{"resources": {"requests": size.requests}}]}}


def test_a_step_of_the_usual_size_is_found_to_be_too_large() -> None:
    steps = {pod: [_pod(size)] for pod, size in SIZES["default"].items() if pod != "driver"}
    assert set(too_large(steps, _pod(SIZES["trial"]["driver"]))) == set(steps)

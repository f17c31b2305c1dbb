"""Who may push whom out: over every pod of the three charts, and every pod of every task."""

from collections.abc import Mapping
from typing import Any

import pytest

from tests.charts import helm, operators
from tests.charts.tasks import task_pods

Pods = dict[str, helm.Document]


def services(shape: str = "trial") -> Pods:
    """Every pod that the three charts make."""
    return {**helm.pod_templates(shape), **operators.pods()}


def may_push_out(pod: helm.Document, other: helm.Document, classes: Mapping[str, Any]) -> bool:
    """Whether the scheduler may end `other` to make room for `pod`; a pod without a class has the value 0 and pushes.

    https://kubernetes.io/docs/concepts/scheduling-eviction/pod-priority-preemption/
    """
    plain = {"value": 0, "preemptionPolicy": "PreemptLowerPriority"}
    known = {**classes, None: plain}
    own, its = (known[each["spec"].get("priorityClassName")] for each in (pod, other))
    return own["preemptionPolicy"] != "Never" and own["value"] > its["value"]


@pytest.fixture(scope="module")
def tasks() -> Pods:
    """Every pod of every task of the pipeline."""
    return {f"{name}/{pod['metadata']['name']}": pod for name, made in task_pods().items() for pod in made}


@pytest.mark.long
def test_no_task_pushes_a_service_out(tasks: Pods) -> None:
    classes = helm.of_kind("trial", "PriorityClass")
    assert {pod["spec"].get("priorityClassName") for pod in tasks.values()} == {"longrun-training", "longrun-evaluation"}
    pushed = [(a, b) for a, task in tasks.items() for b, service in services().items() if may_push_out(task, service, classes)]
    assert pushed == []


def test_a_training_that_may_push_out_would_end_the_console() -> None:
    classes = {**helm.of_kind("trial", "PriorityClass")}
    classes["longrun-training"] = {**classes["longrun-training"], "preemptionPolicy": "PreemptLowerPriority"}
    task = {"spec": {"priorityClassName": "longrun-training"}}
    assert [name for name, pod in services().items() if may_push_out(task, pod, classes)] == ["flyte-console"]


@pytest.mark.long
def test_every_service_comes_up_again_on_a_node_full_of_tasks(tasks: Pods) -> None:
    classes = helm.of_kind("trial", "PriorityClass")
    waiting = [a for a, pod in services().items() if not all(may_push_out(pod, task, classes) for task in tasks.values())]
    assert waiting == ["flyte-console"]


WITHOUT = {"CronJob/longrun-retention": "longrun-evaluation", "flyte-console": None}
"""What no run needs: the nightly job may wait, and the console's chart has no key for a class."""


@pytest.mark.parametrize("shape", helm.SHAPES)
def test_what_runs_need_has_the_class_of_the_services(shape: str) -> None:
    given = {name: pod["spec"].get("priorityClassName") for name, pod in services(shape).items()}
    assert given == {name: WITHOUT.get(name, "longrun-services") for name in given}


@pytest.mark.parametrize("value", ["services=9000", "training=999"])
def test_an_order_of_classes_that_would_turn_this_round_is_refused(value: str) -> None:
    done = helm.render("trial", "--set", f"priorityClasses.{value}")
    assert done.returncode != 0
    assert "must be above priorityClasses." in done.stderr

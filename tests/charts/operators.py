"""The pods that the charts of KubeRay and Flyte make of our values: what each template takes from them, no more.

Written down from kuberay v1.7.0, helm-chart/kuberay-operator/templates/deployment.yaml, and flyte v2.0.43, charts/flyte-binary/
templates/deployment.yaml and console/deployment.yaml, charts/flyteconnector/templates/connector/deployment.yaml.
"""

import functools
from collections.abc import Iterator
from typing import Any

import yaml

from tests.charts import helm
from tests.paths import SCHEMAS

Values = dict[str, Any]

CHARTS = helm.ROOT / "charts"
OPERATORS: dict[str, dict[str, str]] = yaml.safe_load((CHARTS / "operators.yaml").read_text())
SUBCHART = "flyteconnector"
"""Values of flyte-binary's dependency, which its own defaults do not repeat."""


@functools.cache
def own_values(operator: str) -> Values:
    """What we set."""
    loaded: Values = yaml.safe_load((CHARTS / OPERATORS[operator]["values"]).read_text())
    return loaded


@functools.cache
def defaults(operator: str) -> Values:
    """What the chart sets."""
    loaded: Values = yaml.safe_load((SCHEMAS / f"{OPERATORS[operator]['chart']}.yaml").read_text())
    return loaded


def values(operator: str) -> Values:
    """Ours over the chart's, as helm lays them."""
    return _laid(defaults(operator), own_values(operator))


def _laid(below: Values, above: Values) -> Values:
    both = below.keys() & above.keys()
    nested = {k: _laid(below[k], above[k]) for k in both if isinstance(below[k], dict) and isinstance(above[k], dict)}
    return {**below, **above, **nested}


def set_to(operator: str, *settings: str) -> Values:
    """Those values with KEY.KEY=TEXT over them, as `helm --set-string` takes it."""
    known = values(operator)
    for setting in settings:
        path, _, text = setting.partition("=")
        nested: Any = text
        for key in reversed(path.split(".")):
            nested = {key: nested}
        known = _laid(known, nested)
    return known


def pods(of: dict[str, Values] | None = None) -> dict[str, helm.Document]:
    """Every pod of both charts by its Deployment's name; `of` are other values of an operator."""
    known = {operator: values(operator) for operator in OPERATORS} | (of or {})
    return {**_kuberay(known["kuberay"]), **_flyte(known["flyte"])}


def _kuberay(known: Values) -> dict[str, helm.Document]:
    container = {
        "name": "kuberay-operator",
        "image": reference(known["image"]),
        "env": known["env"] or [],
        "resources": known["resources"],
        "securityContext": known["securityContext"],
    }
    priority = {"priorityClassName": known["priorityClassName"]} if known["priorityClassName"] else {}
    return {"kuberay-operator": {"spec": {"securityContext": known["podSecurityContext"], **priority, "containers": [container]}}}


def _flyte(known: Values) -> dict[str, helm.Document]:
    deployment, console, connector = known["deployment"], known["console"], known[SUBCHART]
    shared = {"resources": deployment["resources"]}
    database = {"name": "wait-for-db", **shared, "command": deployment["waitForDB"]["command"], "env": []}
    database |= {"image": reference(deployment["waitForDB"]["image"])}
    service = {"name": "flyte", **shared, "image": reference(deployment["image"]), "env": deployment["extraEnvVars"]}
    web = {"name": "console", "image": reference(console["image"]), "env": console["env"], "resources": console["resources"]}
    made = {
        "flyte": {**deployment["extraPodSpec"], "initContainers": [database], "containers": [service]},
        # neither a priority class nor anything else of the pod can be set
        "flyte-console": {"containers": [web]},
    }
    if connector["enabled"]:
        container = {"name": SUBCHART, "image": reference(connector["image"]), "env": connector["podEnv"]}
        made[SUBCHART] = {"priorityClassName": connector["priorityClassName"], "containers": [container]}
    return {name: {"spec": spec} for name, spec in made.items()}


def reference(image: Values) -> str:
    """An image as both charts write it."""
    return f"{image['repository']}:{image['tag']}"


def images(known: Values, above: str = "") -> Iterator[tuple[str, Values]]:
    """Every image that the values name, by the path of its key: also those that only a running Flyte asks for."""
    for key, value in known.items():
        if isinstance(value, dict):
            if key == "image":
                yield f"{above}{key}", value
            yield from images(value, f"{above}{key}.")

"""Kubernetes' rules for a pod's spec, as far as our pods use it.

`ValidatePodSpec` in k8s.io/kubernetes pkg/apis/core/validation/validation.go.
"""

import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

Json = Mapping[str, Any]

_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_PORT_NAME = re.compile(r"(?=.*[a-z])[a-z0-9]([a-z0-9-]*[a-z0-9])?")
_VARIABLE = re.compile(r"[-._a-zA-Z][-._a-zA-Z0-9]*")
_QUANTITY = re.compile(r"(?P<number>[+-]?(\d+(\.\d*)?|\.\d+))(?P<suffix>[eE][+-]?\d+|Ki|Mi|Gi|Ti|Pi|Ei|[numkMGTPE]?)")
_FACTORS = {suffix: Decimal(2) ** (10 * power) for power, suffix in enumerate(("Ki", "Mi", "Gi", "Ti", "Pi", "Ei"), start=1)}
_FACTORS |= {
    suffix: Decimal(10) ** power
    for suffix, power in {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}.items()
}


def quantity(text: object) -> Decimal:
    """An amount of a resource as a number. Raises `ValueError` for an invalid amount."""
    match = _QUANTITY.fullmatch(str(text))
    if not match:
        raise ValueError(f"{text!r} is no quantity")
    number, suffix = Decimal(match["number"]), match["suffix"]
    return number * (_FACTORS[suffix] if suffix in _FACTORS else Decimal(10) ** int(suffix[1:]))


def refusals(spec: Json) -> list[str]:
    """Every rule that the pod's spec breaks, with the field."""
    volumes = [volume["name"] for volume in spec.get("volumes", [])]
    broken = [*_volumes(spec), *_names(spec), *_scheduling(spec)]
    names = [container["name"] for container in every_container(spec)]
    broken += [f"spec.containers: Duplicate value: {name}" for name in sorted({name for name in names if names.count(name) > 1})]
    for container in every_container(spec):
        broken += [f"{container['name']}: {problem}" for problem in _container(container, volumes)]
    return broken


def every_container(spec: Json) -> list[Json]:
    """Init containers and containers."""
    return [*spec.get("initContainers", []), *spec["containers"]]


def _names(spec: Json) -> Iterator[str]:
    for name in ("serviceAccountName", "priorityClassName"):
        if (value := spec.get(name)) and (not _SUBDOMAIN.fullmatch(value) or len(value) > 253):
            yield f"spec.{name}: {value!r} is no DNS subdomain"
    if spec.get("restartPolicy", "Always") not in {"Always", "OnFailure", "Never"}:
        yield f"spec.restartPolicy: {spec['restartPolicy']}"
    if not spec.get("containers"):
        yield "spec.containers: Required value"
    for secret in spec.get("imagePullSecrets", []):
        if not secret.get("name"):
            yield "spec.imagePullSecrets: name is required"


def _volumes(spec: Json) -> Iterator[str]:
    for volume in spec.get("volumes", []):
        sources = sorted(set(volume) - {"name"})
        if not _LABEL.fullmatch(volume["name"]) or len(volume["name"]) > 63:
            yield f"spec.volumes: {volume['name']!r} is no DNS label"
        if len(sources) != 1:
            yield f"spec.volumes.{volume['name']}: must have exactly one source, has {sources}"
        scratch = volume.get("emptyDir", {})
        if "sizeLimit" in scratch:
            yield from _amounts(f"spec.volumes.{volume['name']}.emptyDir", {"sizeLimit": scratch["sizeLimit"]})
        if scratch.get("medium", "") not in {"", "Memory", "HugePages"}:
            yield f"spec.volumes.{volume['name']}.emptyDir.medium: {scratch['medium']}"
        for kind, key in (("persistentVolumeClaim", "claimName"), ("secret", "secretName"), ("configMap", "name")):
            if kind in volume and not volume[kind].get(key):
                yield f"spec.volumes.{volume['name']}.{kind}.{key}: Required value"


def _scheduling(spec: Json) -> Iterator[str]:
    for toleration in spec.get("tolerations", []):
        if toleration.get("operator") == "Exists" and toleration.get("value"):
            yield "spec.tolerations: value must be empty when operator is Exists"
        if not toleration.get("key") and toleration.get("operator") != "Exists":
            yield "spec.tolerations: operator must be Exists when key is empty"
        if toleration.get("effect", "") not in {"", "NoSchedule", "PreferNoSchedule", "NoExecute"}:
            yield f"spec.tolerations: effect {toleration['effect']}"
    for constraint in spec.get("topologySpreadConstraints", []):
        if constraint.get("maxSkew", 0) < 1 or not constraint.get("topologyKey"):
            yield "spec.topologySpreadConstraints: maxSkew must be greater than zero, topologyKey is required"
    affinity = (spec.get("affinity") or {}).get("nodeAffinity", {})
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution")
    if required is not None and not required.get("nodeSelectorTerms"):
        yield "spec.affinity: nodeSelectorTerms must have at least one"
    for term in affinity.get("preferredDuringSchedulingIgnoredDuringExecution", []):
        if not 1 <= term["weight"] <= 100:
            yield f"spec.affinity: weight {term['weight']} is not in 1 to 100"


def _container(container: Json, volumes: list[str]) -> Iterator[str]:
    if not _LABEL.fullmatch(container["name"]) or len(container["name"]) > 63:
        yield "name is no DNS label"
    image = container.get("image", "")
    if not image or image != image.strip():
        yield f"image: {image!r}"
    yield from _environment(container)
    yield from _mounts(container, volumes)
    yield from _ports(container)
    yield from _resources(container.get("resources", {}))
    for name in ("livenessProbe", "readinessProbe", "startupProbe"):
        if probe := container.get(name):
            yield from _probe(name, probe)
    if container.get("imagePullPolicy", "Always") not in {"Always", "IfNotPresent", "Never"}:
        yield f"imagePullPolicy: {container['imagePullPolicy']}"


def _environment(container: Json) -> Iterator[str]:
    for variable in container.get("env", []):
        name = variable["name"]
        if not _VARIABLE.fullmatch(name):
            yield f"env: {name!r} is no name of a variable"
        if variable.get("value") and variable.get("valueFrom"):
            yield f"env.{name}.valueFrom: may not be specified when `value` is not empty"
        if (sources := variable.get("valueFrom")) is not None and len(sources) != 1:
            yield f"env.{name}.valueFrom: must have exactly one source"
        for kind in ("secretKeyRef", "configMapKeyRef"):
            reference = (variable.get("valueFrom") or {}).get(kind)
            if reference is not None and not (reference.get("name") and reference.get("key")):
                yield f"env.{name}.{kind}: name and key are required"


def _mounts(container: Json, volumes: list[str]) -> Iterator[str]:
    for mount in container.get("volumeMounts", []):
        if mount["name"] not in volumes:
            yield f"volumeMounts: Not found: {mount['name']!r}"
        if not mount.get("mountPath") or ":" in mount["mountPath"]:
            yield f"volumeMounts.{mount['name']}.mountPath: {mount.get('mountPath')!r}"


def _ports(container: Json) -> Iterator[str]:
    ports = container.get("ports", [])
    names = [port["name"] for port in ports if port.get("name")]
    yield from (f"ports: Duplicate value: {name}" for name in sorted({name for name in names if names.count(name) > 1}))
    yield from (
        f"ports: {name!r} is no name of 15 characters" for name in names if not _PORT_NAME.fullmatch(name) or len(name) > 15
    )
    yield from (f"ports: {port['containerPort']}" for port in ports if not 1 <= port["containerPort"] <= 65535)


def _resources(resources: Json) -> Iterator[str]:
    requests, limits = resources.get("requests", {}), resources.get("limits", {})
    wrong = [*_amounts("requests", requests), *_amounts("limits", limits)]
    if wrong:
        yield from wrong
        return
    for name, limit in limits.items():
        if quantity(requests.get(name, limit)) > quantity(limit):
            yield f"resources.requests.{name}: {requests[name]} must be less than or equal to {name} limit of {limit}"
    for name in {*requests, *limits}:
        if "/" in name and (name not in limits or quantity(requests.get(name, limits[name])) != quantity(limits[name])):
            yield f"resources.{name}: limit must be set and equal the request for non overcommitable resources"
        if "/" in name and quantity({**requests, **limits}[name]) % 1:
            yield f"resources.{name}: must be an integer"


def _amounts(where: str, amounts: Json) -> Iterator[str]:
    for name, text in amounts.items():
        try:
            if quantity(text) < 0:
                yield f"{where}.{name}: {text} must be greater than or equal to 0"
        except ValueError as error:
            yield f"{where}.{name}: {error}"


def _probe(name: str, probe: Json) -> Iterator[str]:
    actions = {"httpGet", "exec", "tcpSocket", "grpc"} & set(probe)
    if len(actions) != 1:
        yield f"{name}: must specify exactly one handler, has {sorted(actions)}"
    if "httpGet" in probe and not probe["httpGet"].get("port"):
        yield f"{name}.httpGet.port: Required value"
    if name != "readinessProbe" and probe.get("successThreshold", 1) != 1:
        yield f"{name}.successThreshold: must be 1"
    if probe.get("timeoutSeconds", 1) < 1 or probe.get("periodSeconds", 1) < 1:
        yield f"{name}: timeoutSeconds and periodSeconds must be greater than 0"

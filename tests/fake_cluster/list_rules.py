"""Rules of the API server for objects, beyond the types in a schema.

Kubernetes' own rules are in k8s.io/kubernetes pkg/apis/core/validation/validation.go and k8s.io/apimachinery pkg/util/validation;
a RayJob is checked by its schema and its lists that are maps, and then by KubeRay itself (`kuberay_rules`).

One rule is stricter than Kubernetes: it takes a pod with a variable twice, warns, and the later one wins. Nobody means that.
"""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

from tests.fake_cluster import kuberay_rules, pod_rules, pod_security
from tests.fake_cluster.schemas import duplicates, pod_spec_validator, ray_job_validator, schema_errors

Json = dict[str, Any]

MAX_BYTES = 1_500_000
"""Largest object in etcd: the default of `--max-request-bytes` is 1.5 MiB."""

SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_LABEL_NAME = re.compile(r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]")


def refusals(obj: Json, *, restricted: bool = True, operator: bool = True) -> list[str]:
    """Why an object is rejected: by the API server, by Pod Security if `restricted`, and by KubeRay if `operator`."""
    broken = [*metadata_refusals(obj.get("metadata", {}))]
    if obj["kind"] == "Pod":
        broken += pod_refusals(obj["spec"], restricted=restricted)
    elif obj["kind"] == "RayJob":
        broken += _ray_job_refusals(obj)
        broken += kuberay_rules.refusals(obj) if operator else []
    if len(json.dumps(obj)) > MAX_BYTES:
        broken.append(f"Request entity too large: limit is {MAX_BYTES}")
    return broken


def pod_refusals(spec: Json, *, restricted: bool = True) -> list[str]:
    """Broken rules of a pod's spec."""
    validator = pod_spec_validator()
    broken = [*schema_errors(validator, spec), *duplicates(validator.schema, spec, "spec")]
    broken += pod_rules.refusals(spec)
    return broken + ([f"violates PodSecurity: {problem}" for problem in pod_security.violations(spec)] if restricted else [])


def metadata_refusals(metadata: Mapping[str, Any]) -> Iterator[str]:
    """Broken rules for names, labels and annotations of any object."""
    name = metadata.get("name") or metadata.get("generateName", "").rstrip("-")
    if not SUBDOMAIN.fullmatch(name) or len(name) > 253:
        yield f"metadata.name: {name!r} is no DNS subdomain of 253 characters at most"
    for kind in ("labels", "annotations"):
        for key, value in metadata.get(kind, {}).items():
            if not label_key(key):
                yield f"metadata.{kind}: {key!r} is no qualified name"
            if not isinstance(value, str):
                yield f"metadata.{kind}.{key}: {value!r} is no text"
            elif kind == "labels" and not label_value(value):
                yield f"metadata.labels.{key}: {value!r} is no label of 63 characters at most"
    if sum(len(key) + len(str(value)) for key, value in metadata.get("annotations", {}).items()) > 256 * 1024:
        yield "metadata.annotations: more than 256 KiB"


def label_key(key: str) -> bool:
    """Whether a label's key is a name of at most 63 characters, optionally after a subdomain and a slash."""
    prefix, slash, name = key.rpartition("/")
    return bool(_LABEL_NAME.fullmatch(name)) and len(name) <= 63 and (not slash or bool(SUBDOMAIN.fullmatch(prefix)))


def label_value(value: str) -> bool:
    """Whether a label may have this value: empty, or like a name."""
    return not value or (bool(_LABEL_NAME.fullmatch(value)) and len(value) <= 63)


def _ray_job_refusals(job: Json) -> Iterator[str]:
    validator = ray_job_validator()
    known = {name: value for name, value in job.items() if name != "metadata"}
    yield from schema_errors(validator, known | {"metadata": {}})
    yield from duplicates(validator.schema, known)
    for group, template in kuberay_rules.templates(job["spec"].get("rayClusterSpec", {})):
        for problem in metadata_refusals({"name": "template"} | template.get("metadata", {})):
            yield f"{group}: {problem}"

"""KubeRay's schema of a RayJob, as strict as in the API server: rejects unknown fields, and duplicates in lists that are maps.

The file is the `openAPIV3Schema` of ray.io/v1 (see `tests/schemas/README.md`); its pod templates are Kubernetes' own.
"""

import functools
import gzip
import json
from collections.abc import Iterator
from typing import Any

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from tests.paths import SCHEMAS

POD_SPEC = ("spec", "rayClusterSpec", "headGroupSpec", "template", "spec")


@functools.cache
def ray_job_validator() -> Draft202012Validator:
    """The schema of RayJob, ray.io/v1."""
    return Draft202012Validator(strict(_published()))


@functools.cache
def pod_spec_validator() -> Draft202012Validator:
    """The schema of a pod's spec, the same for Ray's head, workers and every other pod."""
    schema = strict(_published())
    for name in POD_SPEC:
        schema = schema["properties"][name]
    return Draft202012Validator(schema)


def strict(schema: Any) -> Any:
    """The schema of a resource definition, refusing unknown fields."""
    if isinstance(schema, list):
        return [strict(entry) for entry in schema]
    if not isinstance(schema, dict):
        return schema
    kept = ("x-kubernetes-list-type", "x-kubernetes-list-map-keys")
    made = {name: strict(value) for name, value in schema.items() if not name.startswith("x-") or name in kept}
    if schema.get("x-kubernetes-int-or-string"):
        made["type"] = ["integer", "string"]
    if isinstance(schema.get("properties"), dict) and not schema.get("x-kubernetes-preserve-unknown-fields"):
        made.setdefault("additionalProperties", False)
    return made


def schema_errors(validator: Draft202012Validator, value: Any) -> list[str]:
    """Violations of the schema, one line each."""
    return [_line(error) for error in validator.iter_errors(value)]


def duplicates(schema: Any, value: Any, where: str = "") -> Iterator[str]:
    """Duplicate entries of lists that the schema defines as maps or sets (`x-kubernetes-list-type`)."""
    if isinstance(value, list):
        yield from _twice(schema, value, where)
        for index, entry in enumerate(value):
            yield from duplicates(schema.get("items", {}), entry, f"{where}[{index}]")
    elif isinstance(value, dict):
        for name, entry in value.items():
            inner = schema.get("properties", {}).get(name) or schema.get("additionalProperties")
            if isinstance(inner, dict):
                yield from duplicates(inner, entry, f"{where}.{name}" if where else name)


def _twice(schema: Any, value: list[Any], where: str) -> Iterator[str]:
    keys = schema.get("x-kubernetes-list-map-keys", ())
    if schema.get("x-kubernetes-list-type") not in {"map", "set"}:
        return
    seen = set[str]()
    for index, entry in enumerate(value):
        inner = schema["items"].get("properties", {})
        identity = {key: entry.get(key, inner[key].get("default")) for key in keys} if keys else entry
        text = json.dumps(identity, sort_keys=True)
        if text in seen:
            yield f"{where}[{index}]: Duplicate value: {text}"
        seen.add(text)


def _line(error: ValidationError) -> str:
    return f"{error.json_path.removeprefix('$').removeprefix('.')}: {error.message[:200]}"


@functools.cache
def _published() -> Any:
    return json.loads(gzip.decompress((SCHEMAS / "rayjob.v1.json.gz").read_bytes()))

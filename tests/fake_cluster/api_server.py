"""A Kubernetes API server in memory: it admits or rejects, stores, lists, changes and deletes objects like a real one.

Refusals are `Status` objects with the server's own words. Admission is `list_rules`, restricted Pod Security where the namespace
says so, priority classes, service accounts and quotas. Objects with finalizers stay until those are gone, and what an object owns
is deleted with it.
"""

import copy
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.fake_cluster.list_rules import refusals
from tests.fake_cluster.pod_rules import every_container, quantity
from tests.fake_cluster.rights import EVERYTHING, Rights

Json = dict[str, Any]

RESOURCES: dict[str, tuple[str, str, bool]] = {
    "namespaces": ("v1", "Namespace", False),
    "nodes": ("v1", "Node", False),
    "persistentvolumes": ("v1", "PersistentVolume", False),
    **{
        plural: ("v1", kind, True)
        for plural, kind in {
            "pods": "Pod",
            "services": "Service",
            "secrets": "Secret",
            "configmaps": "ConfigMap",
            "events": "Event",
            "serviceaccounts": "ServiceAccount",
            "persistentvolumeclaims": "PersistentVolumeClaim",
            "resourcequotas": "ResourceQuota",
            "limitranges": "LimitRange",
        }.items()
    },
    "deployments": ("apps/v1", "Deployment", True),
    "replicasets": ("apps/v1", "ReplicaSet", True),
    "statefulsets": ("apps/v1", "StatefulSet", True),
    "leases": ("coordination.k8s.io/v1", "Lease", True),
    "jobs": ("batch/v1", "Job", True),
    "cronjobs": ("batch/v1", "CronJob", True),
    "rayjobs": ("ray.io/v1", "RayJob", True),
    "rayclusters": ("ray.io/v1", "RayCluster", True),
    "taskactions": ("flyte.org/v1", "TaskAction", True),
    "roles": ("rbac.authorization.k8s.io/v1", "Role", True),
    "rolebindings": ("rbac.authorization.k8s.io/v1", "RoleBinding", True),
    "clusterroles": ("rbac.authorization.k8s.io/v1", "ClusterRole", False),
    "clusterrolebindings": ("rbac.authorization.k8s.io/v1", "ClusterRoleBinding", False),
    "networkpolicies": ("networking.k8s.io/v1", "NetworkPolicy", True),
    "ingresses": ("networking.k8s.io/v1", "Ingress", True),
    "poddisruptionbudgets": ("policy/v1", "PodDisruptionBudget", True),
    "priorityclasses": ("scheduling.k8s.io/v1", "PriorityClass", False),
    "storageclasses": ("storage.k8s.io/v1", "StorageClass", False),
    "customresourcedefinitions": ("apiextensions.k8s.io/v1", "CustomResourceDefinition", False),
    "mutatingwebhookconfigurations": ("admissionregistration.k8s.io/v1", "MutatingWebhookConfiguration", False),
    "validatingwebhookconfigurations": ("admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration", False),
}
"""Plural -> API version, kind, and whether it is in a namespace."""

_FIELDS = {
    "pods": {"metadata.name", "metadata.namespace", "status.phase", "spec.nodeName", "status.podIP", "spec.serviceAccountName"},
    "events": {
        "metadata.name",
        "metadata.namespace",
        "reason",
        "type",
        *(f"involvedObject.{name}" for name in ("kind", "name", "namespace", "uid", "apiVersion", "fieldPath")),
    },
}
"""Field selectors that a resource supports; all support name and namespace."""


class Refusal(Exception):
    """A rejected request, with the status and body of the response."""

    def __init__(self, code: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.code, self.reason = code, reason

    @property
    def status(self) -> Json:
        """The body of the response."""
        body = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure"}
        return body | {"message": str(self), "reason": self.reason, "code": self.code}


@dataclass(frozen=True)
class Request:
    """The parts of an API path."""

    verb: str
    plural: str
    namespace: str = ""
    name: str = ""
    subresource: str = ""
    query: dict[str, str] = field(default_factory=dict)


@dataclass
class ApiServer:
    """The objects of a cluster, by (plural, namespace, name)."""

    objects: dict[tuple[str, str, str], Json] = field(default_factory=dict)
    logs: dict[tuple[str, str], str] = field(default_factory=dict)
    """(pod, container) -> its log."""
    rights: dict[str, Rights] = field(default_factory=dict)
    """Bearer token -> rights of its user; other tokens have all rights."""
    served: set[str] = field(default_factory=lambda: set(RESOURCES))
    """Plural names of the known kinds; deleting a custom resource definition removes its kind."""
    serving: set[str] = field(default_factory=set)
    """Finalizers that a controller removes as soon as their object is deleted; other finalizers block the deletion."""
    kubelet: Callable[[Json], None] = lambda _: None
    """Called with each created pod, to set its status."""
    number: int = 0

    def handle(self, method: str, target: str, body: bytes = b"", authorization: str = "") -> tuple[int, Any]:
        """HTTP status and body (JSON, or the text of a log) of the response to one request."""
        try:
            request = self._route(method, target)
            if not self.rights.get(authorization.removeprefix("Bearer "), EVERYTHING).allow(
                request.verb, RESOURCES[request.plural][0], "/".join(filter(None, (request.plural, request.subresource)))
            ):
                raise self._forbidden(request)
            return 200 + (method == "POST"), self._answer(request, json.loads(body) if body else {})
        except Refusal as refusal:
            return refusal.code, refusal.status

    def add(self, *made: Json) -> None:
        """Add objects without admission checks."""
        for obj in made:
            plural = next(plural for plural, (_, kind, _) in RESOURCES.items() if kind == obj["kind"])
            namespace = obj["metadata"].get("namespace", "longrun") if RESOURCES[plural][2] else ""
            self._keep(plural, namespace, copy.deepcopy(obj))

    def of(self, plural: str) -> list[Json]:
        """The objects of a kind."""
        return [obj for (kind, _, _), obj in self.objects.items() if kind == plural]

    def create(self, obj: Json, namespace: str = "longrun") -> Json:
        """Admit and store an object. Raises `Refusal`."""
        plural = next(plural for plural, (_, kind, _) in RESOURCES.items() if kind == obj["kind"])
        return self._created(Request("create", plural, namespace), copy.deepcopy(obj))

    def _route(self, method: str, target: str) -> Request:
        url = urlsplit(target)
        words = url.path.strip("/").split("/")
        version = "v1" if words[0] == "api" else "/".join(words[1:3])
        rest = words[2:] if words[0] == "api" else words[3:]
        namespace = ""
        if len(rest) >= 3 and rest[0] == "namespaces":
            namespace, rest = rest[1], rest[2:]
        plural = rest[0] if rest else ""
        known = plural in self.served and RESOURCES[plural][0] == version and len(rest) <= 3
        if not known or (RESOURCES[plural][2] and not namespace and len(rest) > 1):
            raise Refusal(404, "NotFound", "the server could not find the requested resource")
        name, subresource = ([*rest[1:], "", ""])[:2]
        verbs = {"GET": "get" if name else "list", "POST": "create", "DELETE": "delete" if name else "deletecollection"}
        verb = verbs.get(method, {"PATCH": "patch", "PUT": "update"}.get(method, method))
        if verb == "create" and ((name and not subresource) or (RESOURCES[plural][2] and not namespace)):
            raise Refusal(405, "MethodNotAllowed", "the server does not allow this method on the requested resource")
        return Request(verb, plural, namespace, name, subresource, {key: value[0] for key, value in parse_qs(url.query).items()})

    def _answer(self, request: Request, body: Json) -> Any:
        if request.verb == "list":
            return self._listed(request)
        if request.verb == "create":
            return self._created(request, body)
        obj = self._wanted(request)
        if request.subresource == "log":
            return self._log(request, obj)
        if request.verb == "delete":
            return self._deleted(request, obj)
        if request.verb in {"patch", "update"}:
            changed = _patched(obj, body) if request.verb == "patch" else body
            self._keep(request.plural, request.namespace, changed)
            self._finish(request.plural, request.namespace, changed)
            return changed
        return obj

    def _wanted(self, request: Request) -> Json:
        try:
            return self.objects[request.plural, request.namespace, request.name]
        except KeyError:
            raise self._missing(request.plural, request.name) from None

    def _listed(self, request: Request) -> Json:
        known = _FIELDS.get(request.plural, set()) | {"metadata.name", "metadata.namespace"}
        wanted = [*_terms(request.query.get("fieldSelector", ""))]
        if unknown := [name for name, _, _ in wanted if name not in known]:
            raise Refusal(400, "BadRequest", f"field label not supported: {unknown[0]}")
        labels = [*_terms(request.query.get("labelSelector", ""))]
        items = [
            obj
            for (plural, namespace, _), obj in self.objects.items()
            if plural == request.plural
            and request.namespace in {"", namespace}
            and all((str(_field(obj, name)) == value) == equal for name, value, equal in wanted)
            and all(_has_label(obj, name, value, equal=equal) for name, value, equal in labels)
        ]
        version, kind, _ = RESOURCES[request.plural]
        return {"kind": f"{kind}List", "apiVersion": version, "metadata": {"resourceVersion": str(self.number)}, "items": items}

    def _created(self, request: Request, obj: Json) -> Json:
        version, kind, namespaced = RESOURCES[request.plural]
        if (obj.get("apiVersion", version), obj.get("kind", kind)) != (version, kind):
            raise Refusal(400, "BadRequest", f"the object provided is unrecognized: {obj.get('apiVersion')} {obj.get('kind')}")
        if namespaced and obj["metadata"].get("namespace", request.namespace) != request.namespace:
            raise Refusal(
                400, "BadRequest", "the namespace of the provided object does not match the namespace sent on the request"
            )
        if namespaced and ("namespaces", "", request.namespace) not in self.objects:
            raise self._missing("namespaces", request.namespace)
        obj |= {"apiVersion": version, "kind": kind}
        self._name(obj, request.namespace)
        if (request.plural, request.namespace, obj["metadata"]["name"]) in self.objects:
            raise Refusal(409, "AlreadyExists", f'{request.plural} "{obj["metadata"]["name"]}" already exists')
        self._admit(request, obj)
        if kind == "Pod":
            obj.setdefault("status", {"phase": "Pending"})
            self.kubelet(obj)
        return self._keep(request.plural, request.namespace, obj)

    def _name(self, obj: Json, namespace: str) -> None:
        metadata = obj["metadata"]
        if not metadata.get("name"):
            metadata["name"] = f"{metadata.get('generateName', '')}{self.number:05d}"
        if namespace:
            metadata["namespace"] = namespace

    def _admit(self, request: Request, obj: Json) -> None:
        name, kind = obj["metadata"]["name"], obj["kind"]
        restricted = self._restricted(request.namespace)
        broken = refusals(obj, restricted=restricted, operator=False)
        insecure = [line.partition(": ")[2] for line in broken if line.startswith("violates PodSecurity")]
        if invalid := [line for line in broken if not line.startswith("violates PodSecurity")]:
            raise Refusal(422, "Invalid", f'{kind} "{name}" is invalid: {"; ".join(invalid)}')
        if insecure:
            raise self._refused(request, name, f'violates PodSecurity "restricted:latest": {", ".join(insecure)}')
        if kind == "Pod":
            self._admit_pod(request, obj)

    def _admit_pod(self, request: Request, pod: Json) -> None:
        name, spec = pod["metadata"]["name"], pod["spec"]
        account = spec.get("serviceAccountName", "default")
        if account != "default" and ("serviceaccounts", request.namespace, account) not in self.objects:
            looked_up = f'error looking up service account {request.namespace}/{account}: serviceaccount "{account}" not found'
            raise self._refused(request, name, looked_up)
        priority = spec.get("priorityClassName")
        if priority and not priority.startswith("system-") and ("priorityclasses", "", priority) not in self.objects:
            raise self._refused(request, name, f"no PriorityClass with name {priority} was found")
        for quota in self.of("resourcequotas"):
            self._within(request, pod, quota)

    def _within(self, request: Request, pod: Json, quota: Json) -> None:
        hard, label = quota["spec"]["hard"], quota["metadata"]["name"]
        running = [other for other in self.of("pods") if other.get("status", {}).get("phase") not in {"Succeeded", "Failed"}]
        for resource, limit in hard.items():
            requested = _amount(pod, resource)
            if requested is None:
                raise self._refused(request, pod["metadata"]["name"], f"failed quota: {label}: must specify {resource}")
            used = sum(_amount(other, resource) or 0 for other in running)
            if used + requested > quantity(limit):
                asked = f"requested: {resource}={requested}, used: {resource}={used}, limited: {resource}={limit}"
                raise self._refused(request, pod["metadata"]["name"], f"exceeded quota: {label}, {asked}")

    def _log(self, request: Request, pod: Json) -> str:
        names = [container["name"] for container in every_container(pod["spec"])]
        container = request.query.get("container", "")
        if not container and len(names) > 1:
            raise Refusal(400, "BadRequest", f"a container name must be specified for pod {request.name}, choose one of: {names}")
        text = self.logs.get((request.name, container or names[0]))
        if text is None:
            waiting = f'container "{container or names[0]}" in pod "{request.name}" is waiting to start: ContainerCreating'
            raise Refusal(400, "BadRequest", waiting)
        return text

    def _deleted(self, request: Request, obj: Json) -> Json:
        obj["metadata"]["finalizers"] = [name for name in obj["metadata"].get("finalizers", []) if name not in self.serving]
        if obj["metadata"]["finalizers"]:
            obj["metadata"].setdefault("deletionTimestamp", "2026-11-30T00:00:00Z")
        else:
            self._remove(request.plural, request.namespace, obj)
        return obj

    def _finish(self, plural: str, namespace: str, obj: Json) -> None:
        if "deletionTimestamp" in obj["metadata"] and not obj["metadata"].get("finalizers"):
            self._remove(plural, namespace, obj)

    def _remove(self, plural: str, namespace: str, obj: Json) -> None:
        name = obj["metadata"]["name"]
        self.objects.pop((plural, namespace, name), None)
        if plural == "customresourcedefinitions":
            self.served.discard(name.partition(".")[0])
        for (kind, where, _), other in list(self.objects.items()):
            owners = other["metadata"].get("ownerReferences", [])
            if any(owner["kind"] == obj["kind"] and owner["name"] == name for owner in owners):
                self._deleted(Request("delete", kind, where), other)

    def _keep(self, plural: str, namespace: str, obj: Json) -> Json:
        self.number += 1
        metadata = obj["metadata"]
        metadata["resourceVersion"] = str(self.number)
        metadata.setdefault("uid", f"uid-of-{metadata['name']}")
        metadata.setdefault("creationTimestamp", "2026-11-30T00:00:00Z")
        if namespace:
            metadata.setdefault("namespace", namespace)
        self.objects[plural, namespace, metadata["name"]] = obj
        return obj

    def _restricted(self, namespace: str) -> bool:
        labels = self.objects.get(("namespaces", "", namespace), {}).get("metadata", {}).get("labels", {})
        return bool(labels.get("pod-security.kubernetes.io/enforce") == "restricted")

    def _missing(self, plural: str, name: str) -> Refusal:
        group = RESOURCES[plural][0].rpartition("/")[0]
        return Refusal(404, "NotFound", f'{plural}{"." if group else ""}{group} "{name}" not found')

    def _refused(self, request: Request, name: str, why: str) -> Refusal:
        return Refusal(403, "Forbidden", f'{request.plural} "{name}" is forbidden: {why}')

    def _forbidden(self, request: Request) -> Refusal:
        group, namespace = RESOURCES[request.plural][0].rpartition("/")[0], request.namespace
        where = f'in the namespace "{namespace}"' if namespace else "at the cluster scope"
        what = "/".join(filter(None, (request.plural, request.subresource)))
        why = f'User "observer" cannot {request.verb} resource "{what}" in API group "{group}" {where}'
        return Refusal(403, "Forbidden", f"{request.plural} is forbidden: {why}")


def event(about: Json, reason: str, message: str, *, kind: str = "Warning", count: int = 1) -> Json:
    """An event that a controller writes about an object."""
    metadata = about["metadata"]
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": f"{metadata['name']}.{reason.lower()}", "namespace": metadata["namespace"]},
        "involvedObject": {
            "kind": about["kind"],
            "name": metadata["name"],
            "namespace": metadata["namespace"],
            "uid": metadata.get("uid", f"uid-of-{metadata['name']}"),
        },
        "reason": reason,
        "message": message,
        "type": kind,
        "count": count,
        "firstTimestamp": "2026-11-30T00:00:00Z",
        "lastTimestamp": "2026-11-30T00:01:00Z",
    }


def _terms(selector: str) -> Iterator[tuple[str, str, bool]]:
    """Name, value and whether they must be equal, for each term of a selector; a name alone has the value `*`."""
    for term in filter(None, selector.split(",")):
        name, unequal, value = term.partition("!=")
        if not unequal:
            name, equal, value = term.replace("==", "=").partition("=")
            value = value if equal else "*"
        yield name.strip(), value.strip(), not unequal


def _has_label(obj: Json, name: str, value: str, *, equal: bool) -> bool:
    if name.startswith("!"):
        return name[1:] not in obj["metadata"].get("labels", {})
    label = obj["metadata"].get("labels", {}).get(name)
    return (label is not None if value == "*" else label == value) == equal


def _field(obj: Any, path: str) -> Any:
    for word in path.split("."):
        obj = obj.get(word, "") if isinstance(obj, dict) else ""
    return obj


def _patched(obj: Json, patch: Json) -> Json:
    """RFC 7396: null removes, objects are merged, all else is replaced."""
    result = copy.deepcopy(obj)
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = _patched(result.get(name) or {}, value) if isinstance(value, dict) else value
    return result


def _amount(pod: Json, resource: str) -> Any:
    """Amount of a quota's resource that a pod uses; None if a container does not set it."""
    if resource in {"pods", "count/pods"}:
        return 1
    kind, _, name = resource.partition(".")
    if kind not in {"requests", "limits"}:
        kind, name = "requests", resource
    if name not in {"cpu", "memory"} and "/" not in name:
        return 0
    amounts: Iterable[Json] = [container.get("resources", {}).get(kind, {}) for container in pod["spec"]["containers"]]
    if "/" not in name and any(name not in known for known in amounts):
        return None
    return sum(quantity(known.get(name, 0)) for known in amounts)

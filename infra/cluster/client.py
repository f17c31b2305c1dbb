"""A client of the Kubernetes API: each request has a timeout and either returns or raises a `ClusterError`."""

import json
import re
from base64 import b64decode
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from components.errors import ClusterError, single_line
from infra.cluster.pods import GPU, NODE_LABELS
from infra.cluster.profiles import Profile
from infra.variables import variable

if TYPE_CHECKING:
    from collections.abc import Iterator

SECONDS = 3.0
"""Timeout of one request; callers send all their requests at once."""

KubernetesObject = dict[str, Any]
"""An object as the API server sends it. Kubernetes defines its fields; they are read where they are needed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Gpus:
    """How many GPUs of a profile's kinds the cluster has, and how many are requested."""

    total: int
    """GPUs on ready, schedulable nodes."""
    taken: int
    """GPUs that running and pending pods request."""
    everywhere: bool
    """Whether pods of all namespaces were counted; else only those of the profile's namespace."""


@dataclass(frozen=True)
class ClusterClient:
    """The Kubernetes API of a profile's cluster. Every method raises `ClusterError`, or `Refused` without the rights."""

    profile: Profile

    @cached_property
    def _api(self) -> Any:
        from kubernetes import client, config

        configuration = client.Configuration()
        configuration.retries = False
        try:
            config.load_kube_config(
                config_file=variable("KUBECONFIG"),
                context=self.profile.context or None,
                client_configuration=configuration,
                persist_config=False,
            )
        except (config.ConfigException, OSError) as error:
            if not variable("KUBERNETES_SERVICE_HOST"):
                raise ClusterError(f"no usable kubeconfig: {' '.join(str(error).split())}") from error
            config.load_incluster_config(client_configuration=configuration)
        return client.ApiClient(configuration)

    def version(self) -> tuple[int, int]:
        """Major and minor version of the API server."""
        with self._translated_errors():
            answer = self._k8s.VersionApi(self._api).get_code(_request_timeout=SECONDS)
        return int(answer.major), int(re.sub(r"\D", "", answer.minor))

    def kinds(self, group: str, version: str) -> set[str]:
        """Plural names of the resources that the API serves in a group and version; empty if the API has no such group."""
        try:
            with self._translated_errors():
                answer = self._k8s.CustomObjectsApi(self._api).get_api_resources(group, version, _request_timeout=SECONDS)
        except Missing:
            return set()
        return {resource.name for resource in answer.resources}

    def may(self, verb: str, resource: str, group: str = "", subresource: str = "", *, everywhere: bool = False) -> bool:
        """Whether the user has the right to `verb` a resource in the profile's namespace, or in all namespaces if
        `everywhere`."""
        k8s = self._k8s
        what = k8s.V1ResourceAttributes(
            verb=verb,
            resource=resource,
            group=group,
            subresource=subresource,
            namespace="" if everywhere else self.profile.namespace,
        )
        review = k8s.V1SelfSubjectAccessReview(spec=k8s.V1SelfSubjectAccessReviewSpec(resource_attributes=what))
        with self._translated_errors():
            answer = k8s.AuthorizationV1Api(self._api).create_self_subject_access_review(review, _request_timeout=SECONDS)
        return bool(answer.status.allowed)

    def default_storage_class(self) -> str:
        """Name of the default storage class; empty if there is none."""
        with self._translated_errors():
            classes = self._k8s.StorageV1Api(self._api).list_storage_class(_request_timeout=SECONDS).items
        mark = "storageclass.kubernetes.io/is-default-class"
        marked = (known.metadata.name for known in classes if (known.metadata.annotations or {}).get(mark) == "true")
        return next(marked, "")

    def claim(self, name: str) -> tuple[str, list[str]]:
        """Phase and access modes of a PersistentVolumeClaim."""
        with self._translated_errors():
            claim = self._core.read_namespaced_persistent_volume_claim(name, self.profile.namespace, _request_timeout=SECONDS)
        return claim.status.phase, claim.spec.access_modes

    def quota(self) -> dict[str, tuple[str, str]]:
        """Resource -> amount used and amount allowed, from all ResourceQuotas of the namespace."""
        with self._translated_errors():
            quotas = self._core.list_namespaced_resource_quota(self.profile.namespace, _request_timeout=SECONDS).items
        return {
            name: ((quota.status.used or {}).get(name, "0"), hard)
            for quota in quotas
            for name, hard in ((quota.status and quota.status.hard) or {}).items()
        }

    def service_account(self, name: str) -> None:
        """Check that a service account exists in the namespace. Raises `Missing` if it does not."""
        with self._translated_errors():
            self._core.read_namespaced_service_account(name, self.profile.namespace, _request_timeout=SECONDS)

    def secret(self, name: str) -> dict[str, str]:
        """The values of a Secret of the namespace, by key. Callers must not put them into messages."""
        with self._translated_errors():
            secret = self._core.read_namespaced_secret(name, self.profile.namespace, _request_timeout=SECONDS)
        return {key: b64decode(value).decode() for key, value in (secret.data or {}).items()}

    def ensure_namespace(self) -> bool:
        """Create the profile's namespace, with restricted Pod Security, if it is missing; returns whether it was created."""
        name, k8s = self.profile.namespace, self._k8s
        try:
            with self._translated_errors():
                self._core.read_namespace(name, _request_timeout=SECONDS)
        except Missing:
            meta = k8s.V1ObjectMeta(name=name, labels={"pod-security.kubernetes.io/enforce": "restricted"})
            with self._translated_errors():
                self._core.create_namespace(k8s.V1Namespace(metadata=meta), _request_timeout=SECONDS)
            return True
        return False

    def gpus(self) -> Gpus:
        """GPUs of the profile's kinds on ready, schedulable nodes, and how many of them pods request."""
        with self._translated_errors():
            nodes = [node for node in self._core.list_node(_request_timeout=SECONDS).items if _usable(node, self.profile)]
        pods, everywhere = self._pods()
        names = {node.metadata.name for node in nodes}
        taken = sum(_requested_gpus(pod) for pod in pods if pod.spec.node_name in names)
        return Gpus(total=sum(int(node.status.allocatable[GPU]) for node in nodes), taken=taken, everywhere=everywhere)

    def objects(self, collection: str, selector: str = "", *, fields: str = "") -> list[KubernetesObject]:
        """List the objects at a collection's path, by label selector and field selector; empty if the API does not know the
        kind."""
        query = {"labelSelector": selector, "fieldSelector": fields}
        try:
            answer = self._ask("GET", collection, query={name: value for name, value in query.items() if value})
        except Missing:
            return []
        items: list[KubernetesObject] = answer["items"]
        return items

    def read(self, path: str) -> KubernetesObject:
        """The object at a path. Raises `Missing`."""
        answer: KubernetesObject = self._ask("GET", path)
        return answer

    def create(self, collection: str, body: KubernetesObject) -> None:
        """Create an object in a collection."""
        self._ask("POST", collection, body=body)

    def delete(self, path: str) -> bool:
        """Delete the object at a path; returns whether it existed. It stays until its finalizers are removed."""
        try:
            self._ask("DELETE", path)
        except Missing:
            return False
        return True

    def release(self, path: str) -> None:
        """Remove all finalizers of the object at a path, if it still exists."""
        with suppress(Missing):
            self._ask("PATCH", path, body={"metadata": {"finalizers": None}})

    def serves(self, deployment: str) -> bool:
        """Whether a deployment of the namespace has a ready pod; assumed true if the user may not read deployments."""
        path = f"/apis/apps/v1/namespaces/{self.profile.namespace}/deployments/{deployment}"
        try:
            return bool(self.read(path).get("status", {}).get("readyReplicas"))
        except Missing:
            return False
        except Refused:
            return True

    def log(self, pod: str) -> str:
        """The log of a pod of the namespace."""
        return self._text("GET", f"/api/v1/namespaces/{self.profile.namespace}/pods/{pod}/log")

    def _ask(self, method: str, path: str, *, body: Any = None, query: dict[str, str] | None = None) -> Any:
        return json.loads(self._text(method, path, body=body, query=query))

    def _text(self, method: str, path: str, *, body: Any = None, query: dict[str, str] | None = None) -> str:
        """The body of the response to one request by path; works for kinds that the Python client has no class for."""
        kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
        with self._translated_errors():
            request = self._api.param_serialize(
                method,
                path,
                query_params=list((query or {}).items()),
                header_params={"Accept": "application/json", "Content-Type": kind},
                body=body,
                auth_settings=["BearerToken"],
            )
            response = self._api.call_api(*request, _request_timeout=SECONDS)
            text: str = (response.read() or b"").decode()
            if response.status >= 400:
                raise self._k8s.ApiException.from_response(http_resp=response, body=text, data=None)
        return text

    def _pods(self) -> tuple[list[Any], bool]:
        options = {"field_selector": "status.phase!=Succeeded,status.phase!=Failed", "_request_timeout": SECONDS}
        try:
            with self._translated_errors():
                return self._core.list_pod_for_all_namespaces(**options).items, True
        except Refused:
            with self._translated_errors():
                return self._core.list_namespaced_pod(self.profile.namespace, **options).items, False

    @property
    def _k8s(self) -> Any:
        from kubernetes import client

        return client

    @property
    def _core(self) -> Any:
        return self._k8s.CoreV1Api(self._api)

    @contextmanager
    def _translated_errors(self) -> "Iterator[None]":
        """Turn exceptions of the Kubernetes client and urllib3 into `ClusterError`s with one-line messages."""
        from kubernetes.client import ApiException
        from urllib3.exceptions import HTTPError

        try:
            yield
        except ApiException as error:
            kind = {401: Refused, 403: Refused, 404: Missing}.get(error.status or 0, ClusterError)
            raise kind(f"the Kubernetes API answered {error.status} {error.reason}{_api_message(error)}") from error
        except (HTTPError, OSError) as error:
            host = self._api.configuration.host
            raise ClusterError(f"no answer from the Kubernetes API at {host}: {innermost(error)}") from error


class Refused(ClusterError):
    """The credentials are wrong, or lack the rights for this request."""


class Missing(ClusterError):
    """The requested object does not exist."""


def _api_message(error: Any) -> str:
    """The message in the body of an error response, which names the quota, policy or object that caused it."""
    try:
        message = json.loads(error.body or "")["message"]
    except (ValueError, KeyError, TypeError):
        return ""
    return f": {' '.join(str(message).split())}"


def _usable(node: Any, profile: Profile) -> bool:
    ready = any(condition.type == "Ready" and condition.status == "True" for condition in node.status.conditions or [])
    if not ready or node.spec.unschedulable or GPU not in (node.status.allocatable or {}):
        return False
    labels = node.metadata.labels or {}
    return any(labels.get(label) in names[kind] for label, names in NODE_LABELS.items() for kind in profile.gpus)


def _requested_gpus(pod: Any) -> int:
    """GPUs that a pod requests: the sum over its containers, or the largest request of an init container if that is more."""

    def of(container: Any) -> int:
        resources = container.resources and (container.resources.requests or container.resources.limits)
        return int((resources or {}).get(GPU, 0))

    return max([sum(map(of, pod.spec.containers)), *map(of, pod.spec.init_containers or [])])


def innermost(error: BaseException) -> str:
    """The message of the innermost cause of an error, in one line."""
    cause: BaseException = error
    while cause.__cause__ or cause.__context__:
        cause = cause.__cause__ or cause.__context__ or cause
    return single_line(cause)

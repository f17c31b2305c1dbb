"""The Pod Security Standard `restricted`, as Kubernetes 1.36 checks it.

https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted; k8s.io/pod-security-admission policy/check_*.go
"""

from collections.abc import Iterator, Mapping
from typing import Any

from tests.fake_cluster.pod_rules import every_container

_VOLUMES = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret", "image"}
_PROFILES = {"RuntimeDefault", "Localhost"}


def violations(spec: Mapping[str, Any]) -> list[str]:
    """The rules of the standard that a pod's spec breaks."""
    pod = spec.get("securityContext") or {}
    broken = [field for field in ("hostNetwork", "hostPID", "hostIPC") if spec.get(field)]
    broken += [f"volume {volume['name']}" for volume in spec.get("volumes", []) if not _VOLUMES & set(volume)]
    broken += ["runAsUser=0"] if pod.get("runAsUser") == 0 else []
    broken += ["sysctls"] if pod.get("sysctls") else []
    for container in every_container(spec):
        broken += [f"{container['name']}: {problem}" for problem in _container(container, pod)]
    return broken


def _container(container: Mapping[str, Any], pod: Mapping[str, Any]) -> Iterator[str]:
    own = container.get("securityContext") or {}
    capabilities = own.get("capabilities") or {}
    if own.get("allowPrivilegeEscalation") is not False:
        yield "allowPrivilegeEscalation != false"
    if "ALL" not in capabilities.get("drop", []) or set(capabilities.get("add", [])) - {"NET_BIND_SERVICE"}:
        yield "unrestricted capabilities"
    if own.get("runAsNonRoot", pod.get("runAsNonRoot")) is not True:
        yield "runAsNonRoot != true"
    if own.get("runAsUser") == 0:
        yield "runAsUser=0"
    if (own.get("seccompProfile") or pod.get("seccompProfile") or {}).get("type") not in _PROFILES:
        yield "seccompProfile"
    if own.get("privileged") or own.get("procMount", "Default") != "Default":
        yield "privileged"
    if any(port.get("hostPort") for port in container.get("ports", [])):
        yield "hostPort"

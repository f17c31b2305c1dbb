"""Finds objects that should not exist after `longrun deploy --remove`."""

from collections.abc import Sequence

from tests.cluster.site import Site

NAMESPACED = (
    "v1/pods",
    "v1/services",
    "v1/configmaps",
    "v1/secrets",
    "v1/serviceaccounts",
    "v1/resourcequotas",
    "v1/limitranges",
    "apps/v1/deployments",
    "apps/v1/replicasets",
    "apps/v1/statefulsets",
    "batch/v1/jobs",
    "batch/v1/cronjobs",
    "coordination.k8s.io/v1/leases",
    "ray.io/v1/rayjobs",
    "ray.io/v1/rayclusters",
    "flyte.org/v1/taskactions",
    "rbac.authorization.k8s.io/v1/roles",
    "rbac.authorization.k8s.io/v1/rolebindings",
    "networking.k8s.io/v1/networkpolicies",
    "networking.k8s.io/v1/ingresses",
    "policy/v1/poddisruptionbudgets",
)
"""Kinds in the namespace that are checked; claims are kept on purpose."""

CLUSTER_WIDE = (
    "rbac.authorization.k8s.io/v1/clusterroles",
    "rbac.authorization.k8s.io/v1/clusterrolebindings",
    "admissionregistration.k8s.io/v1/mutatingwebhookconfigurations",
    "admissionregistration.k8s.io/v1/validatingwebhookconfigurations",
    "scheduling.k8s.io/v1/priorityclasses",
)
"""Cluster-wide kinds that the releases create, found by helm's label and by Flyte's names."""

KUBERNETES_OWN = {"configmaps/kube-root-ca.crt", "serviceaccounts/default"}
"""Objects that every namespace has."""

_RELEASE, _NAMESPACE = "meta.helm.sh/release-name", "meta.helm.sh/release-namespace"


def remains(site: Site, before: Sequence[str]) -> list[str]:
    """Kind and name of each object that did not exist before, and that `--remove` has not deleted."""
    kept = {f"secrets/{name}" for name in kept_secrets(site)} | KUBERNETES_OWN | set(before)
    return [name for name in here(site) if name not in kept] + _cluster_wide(site)


def here(site: Site) -> list[str]:
    """Kind and name of each object in the namespace, except claims."""
    return [f"{kind.rpartition('/')[2]}/{obj['metadata']['name']}" for kind in NAMESPACED for obj in site.objects(kind)]


def kept_secrets(site: Site) -> set[str]:
    """Generated Secrets, which the data on the volumes needs."""
    return {f"{site.profile.release}-{name}" for name in ("mlflow", "postgres", "store")}


def _cluster_wide(site: Site) -> list[str]:
    names = []
    for kind in CLUSTER_WIDE:
        for obj in site.everywhere(kind):
            marks = obj["metadata"].get("annotations", {})
            ours = marks.get(_NAMESPACE) == site.profile.namespace and marks.get(_RELEASE)
            webhook = any(
                hook.get("clientConfig", {}).get("service", {}).get("namespace") == site.profile.namespace
                for hook in obj.get("webhooks", [])
            )
            if ours or webhook:
                names.append(f"{kind.rpartition('/')[2]}/{obj['metadata']['name']}")
    return names

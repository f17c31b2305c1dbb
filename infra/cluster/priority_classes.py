"""Priority classes that a new version of the chart wants otherwise: Kubernetes lets none be changed, and helm would fail.

Pods keep the priority that they were given; helm makes a deleted class anew.
"""

from contextlib import suppress

import yaml

from infra.cluster import helm
from infra.cluster.client import ClusterClient, KubernetesObject, Refused

CLASSES = "/apis/scheduling.k8s.io/v1/priorityclasses"


def delete_changed(cluster: ClusterClient, release: helm.Release, program: str) -> list[str]:
    """Delete the classes of a release that its chart now renders with another value or policy; their names.

    Who may not look at them leaves them to helm.
    """
    there: list[KubernetesObject] = []
    with suppress(Refused):
        there = cluster.objects(CLASSES, f"app.kubernetes.io/instance={release.name}")
    if not there:
        return []
    rendered = yaml.safe_load_all(helm.run(helm.template(release, cluster.profile, program), release.name))
    wanted = {known["metadata"]["name"]: known for known in rendered if known and known.get("kind") == "PriorityClass"}
    changed = [known["metadata"]["name"] for known in there if _differs(known, wanted.get(known["metadata"]["name"]))]
    for name in changed:
        cluster.delete(f"{CLASSES}/{name}")
    return changed


def _differs(there: KubernetesObject, wanted: KubernetesObject | None) -> bool:
    """Whether both are, and differ; a class that the chart has no more is helm's to delete."""
    default = "PreemptLowerPriority"
    return wanted is not None and any(
        there.get(field, default) != wanted.get(field, default) for field in ("value", "preemptionPolicy")
    )

"""Deletes priority classes that a chart upgrade would change: Kubernetes does not allow changes, so helm would fail.

Running pods keep their priority; helm creates the deleted class again.
"""

from contextlib import suppress

import yaml

from infra.cluster import helm
from infra.cluster.client import ClusterClient, KubernetesObject, Refused

CLASSES = "/apis/scheduling.k8s.io/v1/priorityclasses"


def delete_changed(cluster: ClusterClient, release: helm.Release, program: str) -> list[str]:
    """Delete the classes of a release that its chart now renders with another value or policy; returns their names.

    Does nothing if the user may not list priority classes.
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
    """Whether the chart still has the class, with another value or policy. Helm itself deletes classes that left the chart."""
    default = "PreemptLowerPriority"
    return wanted is not None and any(
        there.get(field, default) != wanted.get(field, default) for field in ("value", "preemptionPolicy")
    )

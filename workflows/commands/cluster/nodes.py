"""The check of `longrun doctor --cluster` that the pods of every step fit on the nodes of a cluster."""

from infra.cluster.client import ClusterClient
from infra.cluster.machines import PodRequest, requests
from infra.cluster.nodes import Node, nodes
from workflows.commands.doctor import Finding, finding

STEPS = {
    "cpu": "tokenizer, plans, checks, registration",
    "data": "curation, token shards",
    "train": "pretraining, sft, dpo",
    "evaluate": "evaluation",
}
"""The steps that run in the pods of each environment, as shown to the user."""

_REMEDY = "add a larger node, or set a smaller size or sizes.{pod} in the profile"


def nodes_finding(cluster: ClusterClient, what: str) -> Finding:
    """Whether the pods of each step fit on the nodes together with the driver and the services.

    It is a warning if they fit only after other runs have ended.
    """
    known = nodes(cluster)
    if not known:
        return finding(what, False, "no node is ready and accepts pods", "check the nodes: kubectl get nodes")
    for state, without_tasks in (("failed", True), ("warning", False)):
        for environment, pods in requests(cluster.profile).items():
            if (pod := lacking(pods, known, without_tasks=without_tasks)) is not None:
                observed = f"{environment} ({STEPS[environment]}): {_words(pod)}; {_largest(known, pod, without_tasks)}"
                remedy = _REMEDY.format(pod=pod.pod) if state == "failed" else "a run waits until other runs end"
                return finding(what, False, observed, remedy, bad=state)
    return finding(what, True, f"every step fits on the {len(known)} nodes that accept pods; {_largest(known, None, False)}", "")


def lacking(pods: tuple[PodRequest, ...], known: list[Node], *, without_tasks: bool) -> PodRequest | None:
    """The first pod of a step that fits on no node when all pods of the step run at once; None if all fit.

    The largest pods are placed first.
    """
    free = {node.name: list(node.free(without_tasks=without_tasks)) for node in known}
    closed = {node.name for node in known if node.gpus_alone}
    for pod in sorted(pods, key=lambda pod: (pod.gpus, pod.memory, pod.cores), reverse=True):
        for _ in range(pod.count):
            room = [name for name, has in free.items() if pod.fits(has[0], int(has[1]), int(has[2]))]
            room = [name for name in room if pod.gpus or name not in closed]
            if not room:
                return pod
            # The fullest node that has room, so that large free nodes remain for large pods.
            name = min(room, key=lambda name: (free[name][2], free[name][1]))
            free[name] = [has - taken for has, taken in zip(free[name], (pod.cores, pod.memory, pod.gpus), strict=True)]
    return None


def _words(pod: PodRequest) -> str:
    many = f"{pod.count} pods {pod.pod}, each of which" if pod.count > 1 else f"pod {pod.pod}"
    return f"{many} {pod}, and does not fit on any node together with the driver and the services"


def _largest(known: list[Node], pod: PodRequest | None, without_tasks: bool) -> str:
    """The node with the most free resources of the kind that the pod needs, in words."""

    def room(node: Node) -> tuple[float, ...]:
        cores, memory, gpus = node.free(without_tasks=without_tasks)
        return (gpus, memory, cores) if pod is None or pod.gpus else (memory, cores)

    largest = max((node for node in known if pod is None or pod.gpus or not node.gpus_alone), key=room, default=known[0])
    cores, memory, gpus = largest.free(without_tasks=without_tasks)
    with_gpus = f", {gpus} GPUs" if gpus or (pod and pod.gpus) else ""
    return f"most is free on {largest.name}: {cores:g} cores, {memory / 2**30:.1f} GiB{with_gpus}"

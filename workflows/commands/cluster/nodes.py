"""Which step fits on no node of a cluster, before anything is submitted."""

from infra.cluster.client import ClusterClient
from infra.cluster.machines import PodRequest, requests
from infra.cluster.nodes import Node, nodes
from workflows.commands.doctor import Finding, finding

Free = dict[str, list[float]]

STEPS = {
    "cpu": "tokenizer, plans, checks, registration",
    "data": "curation, token shards",
    "train": "pretraining, sft, dpo",
    "evaluate": "evaluation",
}
"""What runs in pods of an environment, for people."""

_REMEDY = "add a larger node, or lower the profile's size, or sizes.{pod} in it"


def nodes_finding(cluster: ClusterClient, what: str) -> Finding:
    """Whether each step's pods fit on the nodes beside the driver and all that stays; a warning where others must end first."""
    known = nodes(cluster)
    if not known:
        return finding(what, False, "none is ready and takes pods", "look at them: kubectl get nodes")
    for state, without_tasks in (("failed", True), ("warning", False)):
        for environment, pods in requests(cluster.profile).items():
            if (pod := lacking(pods, known, without_tasks=without_tasks)) is not None:
                observed = f"{environment} ({STEPS[environment]}): {_words(pod)}; {_largest(known, pod, without_tasks)}"
                remedy = _REMEDY.format(pod=pod.pod) if state == "failed" else "a run waits until others end"
                return finding(what, False, observed, remedy, bad=state)
    return finding(what, True, f"each step fits on the {len(known)} that take pods; {_largest(known, None, False)}", "")


def lacking(pods: tuple[PodRequest, ...], known: list[Node], *, without_tasks: bool) -> PodRequest | None:
    """The first pod of a step that finds no node when all of them are there at the same time, the largest first."""
    free = {node.name: list(node.free(without_tasks=without_tasks)) for node in known}
    closed = {node.name for node in known if node.gpus_alone}
    for pod in sorted(pods, key=lambda pod: (pod.gpus, pod.memory, pod.cores), reverse=True):
        for _ in range(pod.count):
            room = [name for name, has in free.items() if pod.fits(has[0], int(has[1]), int(has[2]))]
            room = [name for name in room if pod.gpus or name not in closed]
            if not room:
                return pod
            # the fullest that has room: what is large stays for what is large
            name = min(room, key=lambda name: (free[name][2], free[name][1]))
            free[name] = [has - taken for has, taken in zip(free[name], (pod.cores, pod.memory, pod.gpus), strict=True)]
    return None


def _words(pod: PodRequest) -> str:
    many = f"{pod.count} pods {pod.pod}, each of which" if pod.count > 1 else f"pod {pod.pod}"
    return f"{many} {pod}, and fits on no node beside what stays there"


def _largest(known: list[Node], pod: PodRequest | None, without_tasks: bool) -> str:
    """The node with the most room, of what the pod lacks."""

    def room(node: Node) -> tuple[float, ...]:
        cores, memory, gpus = node.free(without_tasks=without_tasks)
        return (gpus, memory, cores) if pod is None or pod.gpus else (memory, cores)

    largest = max((node for node in known if pod is None or pod.gpus or not node.gpus_alone), key=room, default=known[0])
    cores, memory, gpus = largest.free(without_tasks=without_tasks)
    with_gpus = f", {gpus} GPUs" if gpus or (pod and pod.gpus) else ""
    return f"the largest free is {largest.name}: {cores:g} cores, {memory / 2**30:.1f} GiB{with_gpus}"

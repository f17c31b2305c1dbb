"""The findings of a pod that asks from inside the cluster, and what they make of this machine's own."""

from components.errors import ClusterError
from infra.cluster.client import ClusterClient
from infra.cluster.failures import explained
from infra.cluster.machines import Machine, machines
from infra.cluster.probe import StillPulling, ask_inside, may_ask
from workflows.commands.doctor import Finding, finding

POD = "inside: pod"

_REMEDIES = {
    "object store": "look at artifact_root, object_store_endpoint and the profile's secrets, and at networkPolicy in the chart",
    "mlflow": "look at mlflow_uri and the profile's secrets, and whether it runs: kubectl get pods",
    "checkpoint claim": "tasks run as user and group 1000: look at the rights of the volume",
    "source claim": "tasks run as user and group 1000: look at the rights of the volume",
}


def examine_inside(cluster: ClusterClient) -> list[Finding]:
    """How a pod of the tasks' own kind started, and what it found; a warning for a user who may not start one."""
    try:
        if lacking := may_ask(cluster):
            remedy = f"ask for these rights in {cluster.profile.namespace}, or trust what is seen from here"
            return [finding(POD, False, f"not asked: may not {', '.join(lacking)}", remedy, bad="warning")]
        inside = ask_inside(cluster)
    except StillPulling as error:
        return [finding(POD, False, str(error), "ask again when the node has it", bad="warning")]
    except ClusterError as error:
        meaning = explained(str(error))
        return [finding(POD, False, str(error), meaning[1] if meaning else "look at it: kubectl get pods, kubectl get events")]
    started = finding(POD, True, f"started and answered within {inside.seconds:.0f} s", "")
    return [started, *(_answered(answer) for answer in inside.answers)]


def _answered(answer: dict[str, str]) -> Finding:
    what, problem = answer["what"], answer["problem"]
    return finding(f"inside: {what}", not problem, problem or answer["observed"], _REMEDIES.get(what, ""))


def noted(outside: list[Finding], inside: list[Finding]) -> list[Finding]:
    """Findings of this machine, where what failed from here and is well from inside is a note: pods are who needs it."""
    well = {entry["what"].removeprefix("inside: ") for entry in inside if entry["state"] == "ok"}
    if "pod" in well:
        well.add(f"image: {_image_of_the_pod()}")
    return [_note(entry) if entry["what"] in well and entry["state"] != "ok" else entry for entry in outside]


def _note(entry: Finding) -> Finding:
    return {**entry, "state": "note", "found": f"well from inside; from this machine: {entry['found']}", "remedy": ""}


def _image_of_the_pod() -> str:
    driver = machines(None)["driver"]
    return driver.image if isinstance(driver, Machine) else ""

"""Checks of a cluster by a pod inside it, and how they qualify the checks from this machine."""

from components.errors import ClusterError
from infra.cluster.client import ClusterClient
from infra.cluster.failures import explained
from infra.cluster.machines import Machine, machines
from infra.cluster.probe import StillPulling, ask_inside, may_ask
from workflows.commands.doctor import Finding, finding

POD = "inside: pod"

_REMEDIES = {
    "object store": "check artifact_root, object_store_endpoint and secrets in the profile, and networkPolicy in the chart",
    "mlflow": "check mlflow_uri and secrets in the profile, and that MLflow is running: kubectl get pods",
    "checkpoint claim": "allow user and group 1000, as which tasks run, to access the volume",
    "source claim": "allow user and group 1000, as which tasks run, to access the volume",
}


def examine_inside(cluster: ClusterClient) -> list[Finding]:
    """Findings of a pod like those that run tasks: whether it starts, and what it can reach.

    A warning if the user has no right to start it.
    """
    try:
        if lacking := may_ask(cluster):
            remedy = (
                f"ask an administrator for these rights in {cluster.profile.namespace}, or rely on the checks from this machine"
            )
            return [finding(POD, False, f"not checked: no right to {', '.join(lacking)}", remedy, bad="warning")]
        inside = ask_inside(cluster)
    except StillPulling as error:
        return [finding(POD, False, str(error), "check again when the node has pulled the image", bad="warning")]
    except ClusterError as error:
        meaning = explained(str(error))
        return [
            finding(
                POD, False, str(error), meaning[1] if meaning else "find the reason with: kubectl get pods, kubectl get events"
            )
        ]
    started = finding(POD, True, f"started and checked everything within {inside.seconds:.0f} s", "")
    return [started, *(_answered(answer) for answer in inside.answers)]


def _answered(answer: dict[str, str]) -> Finding:
    what, problem = answer["what"], answer["problem"]
    return finding(f"inside: {what}", not problem, problem or answer["observed"], _REMEDIES.get(what, ""))


def noted(outside: list[Finding], inside: list[Finding]) -> list[Finding]:
    """The checks from this machine; one that succeeded from inside is a note where it failed, since only pods need it."""
    well = {entry["what"].removeprefix("inside: ") for entry in inside if entry["state"] == "ok"}
    if "pod" in well:
        well.add(f"image: {_image_of_the_pod()}")
    return [_note(entry) if entry["what"] in well and entry["state"] != "ok" else entry for entry in outside]


def _note(entry: Finding) -> Finding:
    return {
        **entry,
        "state": "note",
        "found": f"works from inside the cluster; from this machine: {entry['found']}",
        "remedy": "",
    }


def _image_of_the_pod() -> str:
    driver = machines(None)["driver"]
    return driver.image if isinstance(driver, Machine) else ""

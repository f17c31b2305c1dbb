"""Whether a cluster can run longrun: asked from this machine, all at once, and from inside by a pod of the tasks' own kind."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from components.errors import ClusterError, LongrunError
from infra.bucket import require_store
from infra.cluster.client import SECONDS, ClusterClient, Missing, Refused
from infra.cluster.profiles import Profile
from infra.cluster.services import flyte_health, mlflow_version, require_image
from workflows.commands.cluster.inside import examine_inside, noted
from workflows.commands.cluster.nodes import nodes_finding
from workflows.commands.doctor import Finding, finding
from workflows.recipe import Recipe

MAX_SECONDS = 4.5
"""For all checks together; what has not answered by then has failed."""

MIN_KUBERNETES = (1, 25)
"""Pod Security admission, whose `restricted` level the chart sets, is stable since 1.25."""

RIGHTS = (
    ("list", "pods", "", ""),
    ("get", "pods", "", "log"),
    ("list", "events", "", ""),
    ("get", "persistentvolumeclaims", "", ""),
    ("list", "resourcequotas", "", ""),
    ("get", "serviceaccounts", "", ""),
    ("list", "rayjobs", "ray.io", ""),
    ("list", "rayclusters", "ray.io", ""),
)
"""What a user needs in the namespace to see runs and their logs: verb, resource, group, subresource."""

WIDE_RIGHTS = (("list", "nodes", "", ""), ("list", "storageclasses", "storage.k8s.io", ""))
"""What this examination itself needs of the whole cluster."""


def examine_cluster(profile: Profile, recipe: Recipe) -> list[Finding]:
    """Findings about the cluster, its services and the images, in a fixed order.

    What is asked from this machine is answered within `MAX_SECONDS` or has failed; a pod takes as long as `infra.cluster.probe`
    says. Where it is answered well from inside, this machine's own failure to ask is a note.
    """
    cluster = ClusterClient(profile)
    with asked_at_once(questions(cluster, recipe)) as outside:
        inside = examine_inside(cluster)
    return [*noted(outside, inside), *inside]


def questions(cluster: ClusterClient, recipe: Recipe) -> dict[str, Callable[[str], Finding]]:
    """What is asked from this machine, by name."""
    profile = cluster.profile
    return {
        "kubernetes": partial(_kubernetes, cluster),
        "ray kinds": partial(_ray_kinds, cluster),
        "rights": partial(_rights, cluster),
        "service account": partial(_service_account, cluster),
        "storage class": partial(_storage_class, cluster),
        "checkpoint claim": partial(_claim, cluster),
        "gpus": partial(_gpus, cluster, recipe),
        "nodes": partial(nodes_finding, cluster),
        "quota": partial(_quota, cluster),
        "flyte": partial(_flyte, profile),
        "flyte project": partial(_flyte_project, profile),
        "mlflow": partial(_mlflow, profile.from_outside()),
        "object store": partial(_object_store, profile.from_outside()),
        **{f"image: {group}": partial(_image, profile, group) for group in profile.image_digests},
    }


@contextmanager
def asked_at_once(checks: dict[str, Callable[[str], Finding]]) -> Iterator[list[Finding]]:
    """Each check in a thread of its own; the list is filled at the end. Daemons: an answer that never comes keeps nobody."""
    answered: dict[str, Finding] = {}
    findings: list[Finding] = []

    def run(what: str) -> None:
        try:
            answered[what] = checks[what](what)
        except LongrunError as error:
            answered[what] = finding(what, False, str(error), _remedy(what, error))

    threads = [threading.Thread(target=run, args=(what,), daemon=True) for what in checks]
    deadline = time.monotonic() + MAX_SECONDS
    for thread in threads:
        thread.start()
    yield findings
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    silent = "look at the network between here and there, and at names that do not resolve"
    findings += [answered.get(what) or finding(what, False, f"no answer within {MAX_SECONDS} s", silent) for what in checks]


_REMEDIES = {
    "kubernetes": "look at the kubeconfig (KUBECONFIG) and at the profile's context",
    "flyte": "look at the profile's endpoint, and whether flyte-binary runs: kubectl get pods",
    "flyte project": "look at the profile's endpoint, and at FLYTE_TOKEN in its secrets",
    "mlflow": "look at the profile's mlflow_uri, and whether it runs: kubectl get pods -l app.kubernetes.io/component=mlflow",
    "object store": "look at artifact_root, object_store_endpoint and the credentials in the environment",
}


def _remedy(what: str, error: LongrunError) -> str:
    if isinstance(error, Refused) and what not in {"flyte", "mlflow"}:
        return "sign in again, or ask for the role of observers in charts/longrun"
    return _REMEDIES.get(what, _REMEDIES["kubernetes"])


def _kubernetes(cluster: ClusterClient, what: str) -> Finding:
    version = cluster.version()
    needed = ".".join(map(str, MIN_KUBERNETES))
    return finding(
        what, version >= MIN_KUBERNETES, f"version {version[0]}.{version[1]}", f"upgrade the cluster to {needed} or later"
    )


def _ray_kinds(cluster: ClusterClient, what: str) -> Finding:
    lacking = sorted({"rayclusters", "rayjobs"} - cluster.kinds("ray.io", "v1"))
    observed = f"ray.io/v1 lacks {', '.join(lacking)}" if lacking else "ray.io/v1 serves rayclusters and rayjobs"
    return finding(what, not lacking, observed, "install the KubeRay operator with its resource definitions")


def _rights(cluster: ClusterClient, what: str) -> Finding:
    needed = [(right, False) for right in RIGHTS] + [(right, True) for right in WIDE_RIGHTS]
    refused = [
        " ".join(filter(None, (verb, "/".join(filter(None, (resource, sub))), "everywhere" if wide else "")))
        for (verb, resource, group, sub), wide in needed
        if not cluster.may(verb, resource, group, sub, everywhere=wide)
    ]
    observed = f"may not {', '.join(refused)}" if refused else f"all {len(needed)} that following a run needs"
    return finding(what, not refused, observed, "ask for the role of observers in charts/longrun", bad="warning")


def _service_account(cluster: ClusterClient, what: str) -> Finding:
    name = f"{cluster.profile.release}-tasks"
    try:
        cluster.service_account(name)
    except Missing:
        return finding(
            what, False, f"no {name} in {cluster.profile.namespace}", "install charts/longrun under the profile's release"
        )
    except Refused:
        return finding(what, False, f"may not look at {name}", "ask for the right to get serviceaccounts", bad="warning")
    return finding(what, True, name, "")


def _storage_class(cluster: ClusterClient, what: str) -> Finding:
    name = cluster.default_storage_class()
    remedy = "mark one as default, or name one in the chart's values"
    return finding(what, bool(name), name or "no default storage class", remedy, bad="warning")


def _claim(cluster: ClusterClient, what: str) -> Finding:
    """Files go between the pods of a Ray cluster over the claim: with workers it is needed, without them it saves checkpoints."""
    profile = cluster.profile
    name, needed = profile.checkpoint_claim, bool(profile.workers)
    remedy = "let the chart make it (storage.checkpoints), and name it as checkpoint_claim"
    if not name:
        observed = f"none, and {profile.workers} workers" if needed else "none: a lost pod loses its checkpoints"
        return finding(what, False, observed, remedy, bad="failed" if needed else "warning")
    try:
        phase, modes = cluster.claim(name)
    except Missing:
        return finding(what, False, f"no claim {name} in {profile.namespace}", remedy)
    shared = "ReadWriteMany" in modes or not needed
    # many storage classes make a volume only when the first pod asks for it
    observed = f"{name} is {phase}, {', '.join(modes)}"
    return finding(what, phase == "Bound" and shared, observed, "it must be Bound, and ReadWriteMany where there are workers")


def _requested_gpus(profile: Profile) -> int:
    return max(1, profile.workers) * profile.gpus_per_worker if profile.gpus else 0


def _gpus(cluster: ClusterClient, recipe: Recipe, what: str) -> Finding:
    profile, requested = cluster.profile, _requested_gpus(cluster.profile)
    workers = recipe.pretraining.training.min_workers or recipe.pretraining.training.workers
    if not requested:
        return finding(what, True, "none asked for: training runs on CPUs", "")
    if workers > requested:
        observed = f"recipe {recipe.name} trains on {workers} workers, the profile's pods have {requested} GPUs"
        return finding(what, False, observed, "raise the profile's workers or gpus_per_worker")
    gpus = cluster.gpus()
    free = gpus.total - gpus.taken
    counted = "" if gpus.everywhere else f", counting pods of {profile.namespace} alone"
    observed = (
        f"{', '.join(profile.gpus)}: {gpus.total} on ready nodes, {free} free{counted}; "
        f"recipe {recipe.name} on this profile asks for {requested}"
    )
    if gpus.total < requested:
        remedy = "add nodes, other kinds to the profile's gpus, or lower its workers or gpus_per_worker"
        return finding(what, False, observed, remedy)
    return finding(what, free >= requested, observed, "a run waits until others end", bad="warning")


def _quota(cluster: ClusterClient, what: str) -> Finding:
    quota, requested = cluster.quota(), _requested_gpus(cluster.profile)
    if not quota:
        return finding(
            what, False, f"{cluster.profile.namespace} has no quota", "set one: charts/longrun, quota.hard", bad="warning"
        )
    used, hard = quota.get("requests.nvidia.com/gpu", ("0", ""))
    if requested and hard and int(hard) < requested:
        remedy = "raise quota.hard in the chart's values"
        return finding(what, False, f"{hard} GPUs allowed, {requested} asked for", remedy)
    observed = f"{len(quota)} resources limited" + (f", {used} of {hard} GPUs used" if hard else "")
    return finding(what, True, observed, "")


def _flyte(profile: Profile, what: str) -> Finding:
    return finding(what, True, flyte_health(profile), "")


def _flyte_project(profile: Profile, what: str) -> Finding:
    from infra.flyte.project import find_project

    project = find_project(profile)
    if project is None:
        observed = f"Flyte has no project {profile.project}"
        return finding(
            what, False, observed, "longrun deploy makes it, and so does the first submission where it may", bad="warning"
        )
    known = profile.domain in project.domains or not project.domains
    observed = f"{profile.project}, domain {profile.domain}" + (
        "" if known else f"; its domains are {', '.join(project.domains)}"
    )
    return finding(what, known, observed, "name one of them as the profile's domain", bad="warning")


def _mlflow(profile: Profile, what: str) -> Finding:
    from importlib.metadata import version

    there, here = mlflow_version(profile), version("mlflow")
    same = not there or there.split(".")[:2] == here.split(".")[:2]
    version_line = f"version {there}" if there else "which tells its version to users alone"
    remedy = f"run the server's image of this release: clients have {here}"
    return finding(what, same, f"{profile.mlflow_uri}, {version_line}", remedy, bad="warning")


def _object_store(profile: Profile, what: str) -> Finding:
    require_store(profile.artifact_root, profile.object_store_endpoint, SECONDS)
    return finding(what, True, profile.artifact_root, "")


def _image(profile: Profile, group: str, what: str) -> Finding:
    reference = profile.image(group)
    try:
        require_image(reference)
    except Missing:
        return finding(
            what, False, f"{reference} is not in the registry", "make images, push them, and put their digests into the profile"
        )
    except Refused:
        observed = f"{reference}: the registry wants credentials"
        return finding(what, False, observed, "nodes need a pull secret: charts/longrun, images.pullSecrets", bad="warning")
    except ClusterError as error:
        return finding(what, False, str(error), "look at image_registry; nodes may reach what this machine cannot", bad="warning")
    return finding(what, True, reference, "")

"""`longrun doctor --cluster`: check a cluster from this machine, and from inside by a pod like those that run tasks."""

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
"""Timeout of all checks from this machine together; a check without an answer by then has failed."""

MIN_KUBERNETES = (1, 25)
"""Minimum version of Kubernetes: Pod Security admission, whose `restricted` level the chart uses, is stable since 1.25."""

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
"""Rights in the namespace that a user needs to follow runs and read logs: verb, resource, API group, subresource."""

WIDE_RIGHTS = (("list", "nodes", "", ""), ("list", "storageclasses", "storage.k8s.io", ""))
"""Cluster-wide rights that these checks need."""


def examine_cluster(profile: Profile, recipe: Recipe) -> list[Finding]:
    """Findings about the cluster, its services and the images, in a fixed order.

    The checks from this machine take at most `MAX_SECONDS`, and those of a pod as long as `infra.cluster.probe` allows. A check
    that fails from this machine and succeeds from inside is only a note.
    """
    cluster = ClusterClient(profile)
    with asked_at_once(questions(cluster, recipe)) as outside:
        inside = examine_inside(cluster)
    return [*noted(outside, inside), *inside]


def questions(cluster: ClusterClient, recipe: Recipe) -> dict[str, Callable[[str], Finding]]:
    """The checks from this machine, by name."""
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
    """Run each check in its own thread; the list is filled when the block ends.

    The threads are daemons, so that a check that never gets an answer does not keep the process alive.
    """
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
    silent = "check the network between this machine and the cluster, and that host names resolve"
    findings += [answered.get(what) or finding(what, False, f"no answer within {MAX_SECONDS} s", silent) for what in checks]


_REMEDIES = {
    "kubernetes": "check the kubeconfig (KUBECONFIG) and the field context of the profile",
    "flyte": "check the field endpoint of the profile, and that flyte-binary is running: kubectl get pods",
    "flyte project": "check the fields endpoint and secrets.FLYTE_TOKEN of the profile",
    "mlflow": "check the field mlflow_uri of the profile, and that MLflow is running: "
    "kubectl get pods -l app.kubernetes.io/component=mlflow",
    "object store": "check artifact_root and object_store_endpoint in the profile, and the credentials in the environment",
}


def _remedy(what: str, error: LongrunError) -> str:
    if isinstance(error, Refused) and what not in {"flyte", "mlflow"}:
        return "log in to the cluster again, or ask an administrator for the observer role of charts/longrun"
    return _REMEDIES.get(what, _REMEDIES["kubernetes"])


def _kubernetes(cluster: ClusterClient, what: str) -> Finding:
    version = cluster.version()
    needed = ".".join(map(str, MIN_KUBERNETES))
    return finding(
        what, version >= MIN_KUBERNETES, f"version {version[0]}.{version[1]}", f"upgrade Kubernetes to {needed} or later"
    )


def _ray_kinds(cluster: ClusterClient, what: str) -> Finding:
    lacking = sorted({"rayclusters", "rayjobs"} - cluster.kinds("ray.io", "v1"))
    observed = f"the API ray.io/v1 has no {', '.join(lacking)}" if lacking else "the API ray.io/v1 has rayclusters and rayjobs"
    return finding(what, not lacking, observed, "install KubeRay with its custom resource definitions: longrun deploy")


def _rights(cluster: ClusterClient, what: str) -> Finding:
    needed = [(right, False) for right in RIGHTS] + [(right, True) for right in WIDE_RIGHTS]
    refused = [
        " ".join(filter(None, (verb, "/".join(filter(None, (resource, sub))), "everywhere" if wide else "")))
        for (verb, resource, group, sub), wide in needed
        if not cluster.may(verb, resource, group, sub, everywhere=wide)
    ]
    observed = f"no right to {', '.join(refused)}" if refused else f"all {len(needed)} rights needed to follow runs"
    remedy = "ask an administrator for the observer role of charts/longrun"
    return finding(what, not refused, observed, remedy, bad="warning")


def _service_account(cluster: ClusterClient, what: str) -> Finding:
    name = f"{cluster.profile.release}-tasks"
    try:
        cluster.service_account(name)
    except Missing:
        return finding(
            what, False, f"no service account {name} in {cluster.profile.namespace}", "install it with: longrun deploy"
        )
    except Refused:
        return finding(
            what, False, f"no right to get {name}", "ask an administrator for the right to get serviceaccounts", bad="warning"
        )
    return finding(what, True, name, "")


def _storage_class(cluster: ClusterClient, what: str) -> Finding:
    name = cluster.default_storage_class()
    remedy = "mark a storage class as default, or name one in the values of the chart"
    return finding(what, bool(name), name or "no default storage class", remedy, bad="warning")


def _claim(cluster: ClusterClient, what: str) -> Finding:
    """The claim shares files between the pods of a Ray cluster. With workers it is required; without, it saves checkpoints."""
    profile = cluster.profile
    name, needed = profile.checkpoint_claim, bool(profile.workers)
    remedy = (
        "let the chart create a claim (storage.checkpoints in its values), and set checkpoint_claim in the profile to its name"
    )
    if not name:
        observed = (
            f"checkpoint_claim is not set, and {profile.workers} workers need it"
            if needed
            else "checkpoint_claim is not set: a lost pod loses its checkpoints"
        )
        return finding(what, False, observed, remedy, bad="failed" if needed else "warning")
    try:
        phase, modes = cluster.claim(name)
    except Missing:
        return finding(what, False, f"no claim {name} in {profile.namespace}", remedy)
    shared = "ReadWriteMany" in modes or not needed
    # Many storage classes create a volume only when the first pod uses the claim.
    observed = f"{name} is {phase}, {', '.join(modes)}"
    return finding(
        what,
        phase == "Bound" and shared,
        observed,
        "the claim must be Bound, and with workers ReadWriteMany: set storage.checkpoints in the values of the chart",
    )


def _requested_gpus(profile: Profile) -> int:
    return max(1, profile.workers) * profile.gpus_per_worker if profile.gpus else 0


def _gpus(cluster: ClusterClient, recipe: Recipe, what: str) -> Finding:
    profile, requested = cluster.profile, _requested_gpus(cluster.profile)
    workers = recipe.pretraining.training.min_workers or recipe.pretraining.training.workers
    if not requested:
        return finding(what, True, "the profile requests none: training runs on CPUs", "")
    if workers > requested:
        observed = f"recipe {recipe.name} trains on {workers} workers, and the pods of the profile have {requested} GPUs"
        return finding(what, False, observed, "increase workers or gpus_per_worker in the profile")
    gpus = cluster.gpus()
    free = gpus.total - gpus.taken
    counted = "" if gpus.everywhere else f" (counting only pods in {profile.namespace})"
    observed = (
        f"{', '.join(profile.gpus)}: {gpus.total} on ready nodes, {free} free{counted}; recipe {recipe.name} needs {requested}"
    )
    if gpus.total < requested:
        remedy = "add GPU nodes, add kinds to gpus in the profile, or decrease its workers or gpus_per_worker"
        return finding(what, False, observed, remedy)
    return finding(what, free >= requested, observed, "a run waits until other runs end", bad="warning")


def _quota(cluster: ClusterClient, what: str) -> Finding:
    quota, requested = cluster.quota(), _requested_gpus(cluster.profile)
    if not quota:
        return finding(
            what,
            False,
            f"namespace {cluster.profile.namespace} has no quota",
            "set quota.hard in the values of the chart",
            bad="warning",
        )
    used, hard = quota.get("requests.nvidia.com/gpu", ("0", ""))
    if requested and hard and int(hard) < requested:
        remedy = "increase quota.hard in the values of the chart"
        return finding(what, False, f"the quota allows {hard} GPUs, and the profile requests {requested}", remedy)
    observed = f"limits {len(quota)} resources" + (f"; {used} of {hard} GPUs are used" if hard else "")
    return finding(what, True, observed, "")


def _flyte(profile: Profile, what: str) -> Finding:
    return finding(what, True, flyte_health(profile), "")


def _flyte_project(profile: Profile, what: str) -> Finding:
    from infra.flyte.project import find_project

    project = find_project(profile)
    if project is None:
        observed = f"Flyte has no project {profile.project}"
        return finding(
            what,
            False,
            observed,
            "create it with longrun deploy; the first submitted run also creates it if it is allowed to",
            bad="warning",
        )
    known = profile.domain in project.domains or not project.domains
    observed = f"{profile.project}, domain {profile.domain}" + (
        "" if known else f", which is not one of its domains: {', '.join(project.domains)}"
    )
    return finding(what, known, observed, "set the field domain of the profile to one of them", bad="warning")


def _mlflow(profile: Profile, what: str) -> Finding:
    from importlib.metadata import version

    there, here = mlflow_version(profile), version("mlflow")
    same = not there or there.split(".")[:2] == here.split(".")[:2]
    version_line = f"version {there}" if there else "which reports its version only to logged-in users"
    remedy = f"run the MLflow image of this release of longrun: clients have version {here}"
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
            what,
            False,
            f"{reference} is not in the registry",
            "push the images with make push, and copy their digests to the profile",
        )
    except Refused:
        observed = f"{reference}: the registry requires credentials"
        return finding(
            what, False, observed, "give the nodes a pull secret: images.pullSecrets in the values of the chart", bad="warning"
        )
    except ClusterError as error:
        return finding(
            what,
            False,
            str(error),
            "check image_registry in the profile; nodes may reach a registry that this machine cannot",
            bad="warning",
        )
    return finding(what, True, reference, "")

"""`longrun deploy --remove`: uninstall what `longrun deploy` installed, in an order in which no deletion hangs."""

import shlex
from collections.abc import Callable

from components.errors import ClusterError
from infra.cluster import helm, removal
from infra.cluster.client import ClusterClient
from infra.cluster.profiles import Profile

Say = Callable[[str], None]


def remove(profile: Profile, *, stop_runs: bool, dry_run: bool, say: Say) -> None:
    """Remove the objects of runs, Flyte, KubeRay and the longrun chart. Volumes, volume claims and documented Secrets are kept.

    Every step may be repeated: after an interruption the same command continues. With `dry_run` nothing is changed.

    Raises:
        ConfigError: helm is not installed.
        ClusterError: runs are active and `stop_runs` is not set; the cluster or helm reported an error; or an object was not
            deleted in time.
    """
    cluster, program = ClusterClient(profile), helm.helm()
    _require_quiet(cluster, stop_runs=stop_runs, dry_run=dry_run, say=say)
    for kind in removal.KINDS:
        present = removal.names(cluster, kind)
        say(f"{kind.words}: {_listed(present)}")
        if present and not dry_run:
            removal.delete_all(cluster, kind)
    say("deleting pods of tasks" + ("" if dry_run else f": {removal.delete_task_pods(cluster)}"))
    _uninstall("flyte", profile, program, dry_run=dry_run, say=say)
    say("deleting Flyte's own webhook configuration and Secret" + _done(removal.delete_flytes_own, cluster, dry_run))
    for name in ("kuberay", profile.release):
        _uninstall(name, profile, program, dry_run=dry_run, say=say)
    say("deleting leases, and what helm test left behind" + _done(removal.delete_leftovers, cluster, dry_run))
    say(
        f"kept: namespace {profile.namespace}; volume claims with their volumes: {_listed(removal.claims(cluster))}; "
        "the Secrets listed in infra/clusters.md; KubeRay's custom resource definitions, which other namespaces may use"
    )


def _require_quiet(cluster: ClusterClient, *, stop_runs: bool, dry_run: bool, say: Say) -> None:
    runs = removal.going_on(cluster)
    if runs and not stop_runs and not dry_run:
        raise ClusterError(
            f"{len(runs)} runs are active in {cluster.profile.namespace}: {_listed(runs)}; wait until they end, cancel them with "
            "longrun cancel RUN, or add --stop-runs"
        )
    say(f"active runs: {_listed(runs)}" + (", to be cancelled" if runs and stop_runs else ""))


def _uninstall(name: str, profile: Profile, program: str, *, dry_run: bool, say: Say) -> None:
    if dry_run:
        say(shlex.join(helm.uninstall(name, profile)))
    else:
        say(f"{name}: uninstalling, waiting at most {helm.TIMEOUT}")
        helm.run(helm.uninstall(name, profile, program), name)


def _done(delete: Callable[[ClusterClient], list[str]], cluster: ClusterClient, dry_run: bool) -> str:
    return "" if dry_run else f": {_listed(delete(cluster))}"


def _listed(names: list[str]) -> str:
    shown = ", ".join(names[:5]) or "none"
    return f"{shown} and {len(names) - 5} more" if len(names) > 5 else shown

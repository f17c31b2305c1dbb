"""`longrun deploy --remove`: take away what `deploy` has installed, in the order in which nothing waits for what is gone."""

import shlex
from collections.abc import Callable

from components.errors import ClusterError
from infra.cluster import helm, removal
from infra.cluster.client import ClusterClient
from infra.cluster.profiles import Profile

Say = Callable[[str], None]


def remove(profile: Profile, *, stop_runs: bool, dry_run: bool, say: Say) -> None:
    """Remove what runs have left, Flyte, KubeRay and the chart longrun. Volumes, claims and the documents' Secrets stay.

    Each step may be repeated: after an interruption the same command continues. With `dry_run` nothing is changed.

    Raises:
        ConfigError: no helm.
        ClusterError: runs go on and `stop_runs` is not set; the cluster or helm refuses, or something does not go away.
    """
    cluster, program = ClusterClient(profile), helm.helm()
    _require_quiet(cluster, stop_runs=stop_runs, dry_run=dry_run, say=say)
    for kind in removal.KINDS:
        present = removal.names(cluster, kind)
        say(f"{kind.words}: {_listed(present)}")
        if present and not dry_run:
            removal.delete_all(cluster, kind)
    say("pods that tasks have left" + ("" if dry_run else f": {removal.delete_task_pods(cluster)}"))
    _uninstall("flyte", profile, program, dry_run=dry_run, say=say)
    say("what Flyte made for itself: webhook configuration and Secret" + _done(removal.delete_flytes_own, cluster, dry_run))
    for name in ("kuberay", profile.release):
        _uninstall(name, profile, program, dry_run=dry_run, say=say)
    say("leases, and what helm test has left" + _done(removal.delete_leftovers, cluster, dry_run))
    say(
        f"what stays: namespace {profile.namespace}; claims with their volumes: {_listed(removal.claims(cluster))}; "
        "the Secrets that infra/clusters.md names; KubeRay's resource definitions, which other namespaces may use"
    )


def _require_quiet(cluster: ClusterClient, *, stop_runs: bool, dry_run: bool, say: Say) -> None:
    runs = removal.going_on(cluster)
    if runs and not stop_runs and not dry_run:
        raise ClusterError(
            f"{len(runs)} runs go on in {cluster.profile.namespace}: {_listed(runs)}; wait, stop them with longrun cancel RUN, "
            "or add --stop-runs"
        )
    say(f"runs that go on: {_listed(runs)}" + (", which are stopped" if runs and stop_runs else ""))


def _uninstall(name: str, profile: Profile, program: str, *, dry_run: bool, say: Say) -> None:
    if dry_run:
        say(shlex.join(helm.uninstall(name, profile)))
    else:
        say(f"{name}: uninstalled, waiting up to {helm.TIMEOUT}")
        helm.run(helm.uninstall(name, profile, program), name)


def _done(delete: Callable[[ClusterClient], list[str]], cluster: ClusterClient, dry_run: bool) -> str:
    return "" if dry_run else f": {_listed(delete(cluster))}"


def _listed(names: list[str]) -> str:
    shown = ", ".join(names[:5]) or "none"
    return f"{shown} and {len(names) - 5} more" if len(names) > 5 else shown

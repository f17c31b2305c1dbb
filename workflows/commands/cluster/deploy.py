"""`longrun deploy`: install what a cluster needs, in order, then examine the cluster."""

import shlex
from collections.abc import Callable

from components.errors import LongrunError
from infra.cluster import helm
from infra.cluster.client import ClusterClient
from infra.cluster.priority_classes import delete_changed
from infra.cluster.profiles import Profile
from workflows.commands.doctor import Finding
from workflows.recipe import Recipe

Say = Callable[[str], None]


def deploy(profile: Profile, recipe: Recipe, sources: helm.Sources, *, say: Say) -> list[Finding]:
    """Make the namespace, install or upgrade the three releases and wait for each, make Flyte's project; what `doctor` finds.

    Raises:
        ConfigError: no helm, no chart, or a values file that does not exist.
        ClusterError: the cluster or helm refuses; what was installed before stays, and the next call continues from there.
    """
    from workflows.commands.cluster.doctor import examine_cluster

    planned, program = helm.releases(profile, sources), helm.helm()
    cluster = ClusterClient(profile)
    made = cluster.ensure_namespace()
    say(f"namespace {profile.namespace}: {'made, with restricted Pod Security' if made else 'there'}")
    for release in planned:
        for name in delete_changed(cluster, release, program) if release.ours else ():
            say(f"priority class {name}: deleted, since it cannot be changed; helm makes it anew")
        say(f"{release.name}: {_source(release)}, waiting up to {helm.TIMEOUT}")
        notes = helm.run(helm.upgrade(release, profile, program), release.name)
        if release.ours:
            say(notes.partition("NOTES:")[2].strip())
    say(_made_project(profile))
    return examine_cluster(profile, recipe)


def _made_project(profile: Profile) -> str:
    """What became of Flyte's project, without which it takes no run. Its endpoint may not be open to this machine yet."""
    from infra.flyte.project import ensure_project

    try:
        return f"Flyte's project {profile.project}: {'made' if ensure_project(profile) else 'there'}"
    except LongrunError as error:
        return f"Flyte's project {profile.project}: not made, the first submission makes it where it may; {error}"


def show(profile: Profile, sources: helm.Sources, *, say: Say) -> None:
    """Say what `deploy` would call, and how many objects our chart renders to: others' charts are fetched only by installing."""
    planned = helm.releases(profile, sources)
    say(f"# the namespace {profile.namespace} is made, with restricted Pod Security, if it is not there")
    for release in planned:
        say(shlex.join(helm.upgrade(release, profile)))
    say(f"# Flyte's project {profile.project} is made, if it is not there")
    say("longrun doctor --cluster")
    for name, reference in helm.images_of(profile, sources).items():
        say(f"# image {name}: {reference}")
    program = helm.helm()
    for release in planned:
        if release.ours:
            text = helm.run(helm.template(release, profile, program), release.name)
            kinds = [line for line in text.splitlines() if line[:5] == "kind:"]
            say(f"# {release.name} renders to {len(kinds)} objects")


def _source(release: helm.Release) -> str:
    return "charts/longrun" if release.ours else f"{release.chart} {release.version}".rstrip()

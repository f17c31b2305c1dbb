"""`longrun deploy`: install the services that runs need on a cluster, then check the cluster."""

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
    """Create the namespace, install or upgrade the three Helm releases, and create the Flyte project.

    Returns the findings of `longrun doctor --cluster`.

    Raises:
        ConfigError: helm, a chart or a values file is missing.
        ClusterError: the cluster or helm reported an error. Releases installed so far are kept; the next call continues.
    """
    from workflows.commands.cluster.doctor import examine_cluster

    planned, program = helm.releases(profile, sources), helm.helm()
    cluster = ClusterClient(profile)
    made = cluster.ensure_namespace()
    say(f"namespace {profile.namespace}: {'created, with restricted Pod Security' if made else 'exists'}")
    for release in planned:
        for name in delete_changed(cluster, release, program) if release.ours else ():
            say(f"priority class {name}: deleted, because its values cannot be changed; helm creates it again")
        say(f"{release.name}: installing {_source(release)}, waiting at most {helm.TIMEOUT}")
        notes = helm.run(helm.upgrade(release, profile, program), release.name)
        if release.ours:
            say(notes.partition("NOTES:")[2].strip())
    say(_made_project(profile))
    return examine_cluster(profile, recipe)


def _made_project(profile: Profile) -> str:
    """Create the Flyte project, which every run needs; a line that says what happened.

    A failure is only reported: Flyte's endpoint may not be reachable from this machine yet.
    """
    from infra.flyte.project import ensure_project

    try:
        return f"Flyte project {profile.project}: {'created' if ensure_project(profile) else 'exists'}"
    except LongrunError as error:
        return f"Flyte project {profile.project}: not created; the first submitted run creates it if it is allowed to: {error}"


def show(profile: Profile, sources: helm.Sources, *, say: Say) -> None:
    """Print the commands that `deploy` would run, and the number of objects that the longrun chart renders to.

    The charts of KubeRay and Flyte are not rendered, since they are fetched only when they are installed.
    """
    planned = helm.releases(profile, sources)
    say(f"# create the namespace {profile.namespace}, with restricted Pod Security, unless it exists")
    for release in planned:
        say(shlex.join(helm.upgrade(release, profile)))
    say(f"# create the Flyte project {profile.project}, unless it exists")
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

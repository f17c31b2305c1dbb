"""Finds the Flyte project of a profile, and creates it if it is missing.

Flyte 2 rejects uploads and runs of an unknown project, and creates only `flytesnacks` by itself (flyteorg/flyte v2.0.43,
runs/service/utils.go: validateProjectExists, runs/config/config.go). Domains are not created: they are part of the service's
configuration, which lists all of them for every project and also accepts runs in domains with other names.
"""

from dataclasses import dataclass

from components.errors import ClusterError, LoginRefused
from infra.cluster.profiles import Profile
from infra.flyte.service import FlyteService


@dataclass(frozen=True, kw_only=True, slots=True)
class Project:
    """A project in Flyte."""

    domains: tuple[str, ...]
    """Names of the service's domains."""
    archived: bool
    """Whether it is hidden in Flyte's console; it still accepts runs."""


def find_project(profile: Profile) -> Project | None:
    """The profile's project; None if Flyte has no project of that name. Never opens a browser to log in.

    Raises:
        ClusterError: Flyte cannot be reached, or rejects the request.
    """
    return FlyteService(profile, may_sign_in=False).ask(_find(profile.project))


def ensure_project(profile: Profile) -> bool:
    """Create the profile's project if it is missing; returns whether it was created.

    Raises:
        LoginRefused: the project is missing, and this user may not create it.
        ClusterError: Flyte cannot be reached, or rejects the request.
    """
    return FlyteService(profile).ask(make_missing(profile))


async def make_missing(profile: Profile) -> bool:
    """Create the project if it is missing, over the current connection; returns whether it was created.

    Users who may not read projects may still start runs in one, so they get False instead of an error.
    """
    from connectrpc.code import Code
    from connectrpc.errors import ConnectError
    from flyte.remote import Project as Remote

    name = profile.project
    try:
        if await _find(name) is not None:
            return False
    except ConnectError as error:
        if error.code is Code.PERMISSION_DENIED:
            return False
        raise
    try:
        await Remote.create.aio(id=name, name=name, description="Runs of longrun")
    except ConnectError as error:
        if error.code is Code.ALREADY_EXISTS:
            return False
        if error.code in {Code.UNAUTHENTICATED, Code.PERMISSION_DENIED}:
            raise LoginRefused(
                f"Flyte at {profile.endpoint} has no project {name} and does not let this user create it: {error.message}; "
                "ask Flyte's administrator to create it, or set another project in the profile"
            ) from error
        raise ClusterError(f"Flyte at {profile.endpoint} cannot create project {name}: {error.message}") from error
    return True


async def _find(name: str) -> Project | None:
    from connectrpc.code import Code
    from connectrpc.errors import ConnectError
    from flyte.remote import Project as Remote
    from flyteidl2.project import project_service_pb2 as projects

    try:
        project = (await Remote.get.aio(name=name)).pb2
    except ConnectError as error:
        if error.code is Code.NOT_FOUND:
            return None
        raise
    archived = {projects.PROJECT_STATE_ARCHIVED, projects.PROJECT_STATE_SYSTEM_ARCHIVED}
    return Project(domains=tuple(domain.id for domain in project.domains), archived=project.state in archived)

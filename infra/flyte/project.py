"""The project of Flyte that a profile's runs belong to: asked for, and made where it is missing.

Flyte 2 refuses uploads and runs of a project that it does not know, and makes none but `flytesnacks` by itself (flyteorg/flyte
v2.0.43, runs/service/utils.go: validateProjectExists, runs/config/config.go). Domains are no objects: they stand in the
configuration of the service, which shows all of them with each project, and takes runs of any other name too.
"""

from dataclasses import dataclass

from components.errors import ClusterError, LoginRefused
from infra.cluster.profiles import Profile
from infra.flyte.service import FlyteService


@dataclass(frozen=True, kw_only=True, slots=True)
class Project:
    """A project as Flyte has it."""

    domains: tuple[str, ...]
    archived: bool
    """Whether it is hidden in Flyte's console; its runs go on being taken."""


def find_project(profile: Profile) -> Project | None:
    """The profile's project; None: Flyte has none of that name. Nobody is sent to a browser.

    Raises:
        ClusterError: Flyte cannot be reached, or refuses.
    """
    return FlyteService(profile, may_sign_in=False).ask(_find(profile.project))


def ensure_project(profile: Profile) -> bool:
    """Make the profile's project unless it is there; whether it was made.

    Raises:
        LoginRefused: it is missing, and this user may not make it.
        ClusterError: Flyte cannot be reached, or refuses.
    """
    return FlyteService(profile).ask(make_missing(profile))


async def make_missing(profile: Profile) -> bool:
    """The same for one who is connected; who may not ask for projects may still have runs in one, and finds out there."""
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
                f"Flyte at {profile.endpoint} has no project {name} and does not let this user make it: {error.message}; "
                "ask who runs it for the project, or name another in the profile"
            ) from error
        raise ClusterError(f"Flyte at {profile.endpoint} does not make project {name}: {error.message}") from error
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

"""Holds the profile of this process, which names the cluster that its tasks are serialised for.

Flyte's decorators need a task's image and pods while its module is imported. So `infra.flyte.environments` reads the profile when
it is imported, and code that serialises tasks for a cluster must call `adopt` before that. Nothing else depends on import order.
The profile is passed as TOML in `$LONGRUN_PROFILE`: from `adopt` to the environments, and to every pod, because the driver's pod
serialises the tasks of the steps.
"""

import sys

from infra.cluster.profiles import Profile, parse_profile, to_toml
from infra.variables import set_variable, variable

CARRIER = "LONGRUN_PROFILE"
"""Environment variable with the profile's TOML."""


def adopt(profile: Profile) -> None:
    """Set the profile of this process: its tasks are serialised for the profile's cluster.

    Raises:
        RuntimeError: the task environments were already imported, for another cluster or for none.
    """
    if "infra.flyte.environments" in sys.modules and profile_of_process() != profile:
        raise RuntimeError("call adopt() before infra.flyte.environments is imported: the task environments already exist")
    set_variable(CARRIER, to_toml(profile))


def profile_of_process() -> Profile | None:
    """The profile in `$LONGRUN_PROFILE`; None if it is not set. Raises `ConfigError` for an invalid profile."""
    text = variable(CARRIER)
    return parse_profile(text, f"${CARRIER}") if text else None


def in_pod() -> bool:
    """Whether this process is a task on a cluster: Flyte's runtime and the pod set the variables that this looks for."""
    return bool(variable(CARRIER) and variable("ACTION_NAME"))


def in_step() -> bool:
    """Whether this process is a step of a run on a cluster, and not its driver, which Flyte calls action `a0`."""
    return in_pod() and variable("ACTION_NAME") != "a0"

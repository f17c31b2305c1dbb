"""The profile of this process: the cluster that its tasks are serialised for.

Flyte's decorators want a task's image and pods while its module is imported. So `infra.flyte.environments` reads the profile when
it is imported, and whoever serialises for a cluster calls `adopt` before that; nothing else depends on the order of imports. The
profile travels as TOML in `$LONGRUN_PROFILE`: from `adopt` to the environments, and into every pod, because the driver's
serialises the tasks of the steps.
"""

import sys

from infra.cluster.profiles import Profile, parse_profile, to_toml
from infra.variables import set_variable, variable

CARRIER = "LONGRUN_PROFILE"
"""Environment variable with the profile's TOML."""


def adopt(profile: Profile) -> None:
    """Serialise the tasks of this process for the profile's cluster.

    Raises:
        RuntimeError: the task environments were imported before, for another cluster or for none.
    """
    if "infra.flyte.environments" in sys.modules and profile_of_process() != profile:
        raise RuntimeError("the task environments are made already, for another cluster or for this machine")
    set_variable(CARRIER, to_toml(profile))


def profile_of_process() -> Profile | None:
    """The profile in `$LONGRUN_PROFILE`; None on a machine without a cluster. Raises `ConfigError` for one that is none."""
    text = variable(CARRIER)
    return parse_profile(text, f"${CARRIER}") if text else None


def in_pod() -> bool:
    """Whether this process is a task on a cluster: Flyte's runtime names its action, and the pod carries the profile."""
    return bool(variable(CARRIER) and variable("ACTION_NAME"))


def in_step() -> bool:
    """Whether this process is one step of a run on a cluster, which starts no other: Flyte calls the driver's action `a0`."""
    return in_pod() and variable("ACTION_NAME") != "a0"

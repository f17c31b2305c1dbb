"""The profile of a process: adopted before the task environments, carried to pods, and known in them."""

import os
import subprocess
import sys

import pytest

from components.errors import ConfigError
from infra.bundle import PROJECT_ROOT
from infra.cluster.process_profile import CARRIER, adopt, in_pod, profile_of_process
from infra.cluster.profiles import Profile, to_toml

ADOPT_LATE = """
import infra.flyte.environments, sys
from infra.cluster.process_profile import adopt
from infra.cluster.profiles import parse_profile
adopt(parse_profile(sys.stdin.read(), "stdin"))
"""


def test_a_process_has_no_profile_until_it_adopts_one(profile: Profile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(CARRIER, raising=False)
    monkeypatch.delitem(sys.modules, "infra.flyte.environments", raising=False)
    assert profile_of_process() is None
    monkeypatch.setenv(CARRIER, "")  # so that it is restored
    adopt(profile)
    assert profile_of_process() == profile
    assert os.environ[CARRIER] == to_toml(profile)


@pytest.mark.long
def test_a_profile_adopted_after_the_environments_were_made_is_an_error(profile: Profile) -> None:
    variables = {name: value for name, value in os.environ.items() if name != CARRIER}
    command = [sys.executable, "-c", ADOPT_LATE]
    done = subprocess.run(
        command, cwd=PROJECT_ROOT, env=variables, input=to_toml(profile), capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "RuntimeError: call adopt() before" in done.stdout + done.stderr


def test_the_same_profile_may_be_adopted_again_at_any_time(profile: Profile, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CARRIER, to_toml(profile))
    monkeypatch.setitem(sys.modules, "infra.flyte.environments", sys)
    adopt(profile)
    assert profile_of_process() == profile


def test_a_text_that_is_no_profile_is_named_by_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CARRIER, "endpiont = 'x'")
    with pytest.raises(ConfigError, match=r"^\$LONGRUN_PROFILE: unknown key 'endpiont'"):
        profile_of_process()


@pytest.mark.parametrize(("carried", "action", "expected"), [("toml", "a0", True), ("toml", "", False), ("", "a0", False)])
def test_a_pod_has_a_profile_and_an_action_of_flyte(
    carried: str, action: str, expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(CARRIER, carried)
    monkeypatch.setenv("ACTION_NAME", action)
    assert in_pod() == expected

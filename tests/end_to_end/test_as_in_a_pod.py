"""Recipe `tiny` by a user who is not root, with nothing writable but $HOME and /tmp, on a Ray of Ray's own defaults."""

import json
from pathlib import Path

import pytest

from tests.end_to_end import as_in_a_pod
from tests.end_to_end.commands import ran

pytestmark = pytest.mark.slow


def test_a_user_who_is_not_root_gets_from_text_to_a_registered_model(tmp_path: Path) -> None:
    if why := as_in_a_pod.refusal():
        pytest.skip(f"NOT RUN as in a pod, because this machine does not let it: {why}")
    ended = as_in_a_pod.run(tmp_path, "run", "tiny")
    if ended.returncode == as_in_a_pod.NOT_AS_IN_A_POD:
        pytest.skip(f"NOT RUN as in a pod: {ended.stderr.strip()}")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    home = tmp_path / "user" / ".longrun"
    assert [model["model"] for model in json.loads(ran("models", "--json", home=home))] == ["tiny/1"]
    owners = {path.lstat().st_uid for path in (home / "artifacts").rglob("*")}
    assert owners == {as_in_a_pod.USER}

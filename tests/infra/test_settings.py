"""Where the home is, and whether it can be used."""

import os
from pathlib import Path

import pytest

from components.errors import HomeError
from infra.settings import QUIET, settings, usable_home


def test_the_home_is_the_option_then_the_environment_then_the_current_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LONGRUN_HOME", str(tmp_path / "env"))
    assert settings(str(tmp_path / "option")).home == tmp_path / "option"
    assert settings().home == tmp_path / "env"
    monkeypatch.delenv("LONGRUN_HOME")
    assert settings().home == tmp_path / ".longrun"


def test_settings_switch_the_telemetry_of_every_dependency_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in QUIET:
        monkeypatch.delenv(name, raising=False)
    settings(str(tmp_path))
    assert {name: os.environ[name] for name in QUIET} == QUIET
    assert os.environ["DO_NOT_TRACK"] == "true"


def test_a_home_that_is_a_file_is_refused_with_the_way_out(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(HomeError, match=r"file cannot be used: .*--home"):
        usable_home(tmp_path / "file")


def test_a_usable_home_is_left_empty(tmp_path: Path) -> None:
    assert list(usable_home(tmp_path / "home").iterdir()) == []

"""What keeps this machine from running longrun is a finding with its remedy."""

from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest

from infra.distributions import LOCKS, pins
from infra.settings import Settings
from workflows.commands import doctor
from workflows.commands.doctor import examine, finding


def states(settings: Settings) -> dict[str, str]:
    return {entry["what"]: entry["state"] for entry in examine(settings)}


def test_here_nothing_fails_and_the_home_that_is_not_there_yet_is_looked_at(tmp_path: Path) -> None:
    verdicts = states(Settings(home=tmp_path / "not" / "yet"))
    assert "failed" not in verdicts.values()
    assert {"system", "python", "packages: core", "memory", "home", "disk", "accelerator"} <= set(verdicts)


def test_a_home_that_is_a_file_fails_with_another_to_choose(tmp_path: Path) -> None:
    (tmp_path / "home").write_text("")
    (home,) = [entry for entry in examine(Settings(home=tmp_path / "home")) if entry["what"] == "home"]
    assert (home["state"], home["remedy"]) == ("failed", "choose another directory with --home")


def test_little_memory_is_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=2**30))
    assert states(Settings(home=tmp_path))["memory"] == "warning"


def test_a_package_that_is_not_as_locked_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "installed", lambda directories: dict.fromkeys(pins(LOCKS / "core.txt"), "0.1"))
    (core,) = [entry for entry in examine(Settings(home=tmp_path)) if entry["what"] == "packages: core"]
    assert (core["state"], core["remedy"]) == ("failed", "make install")
    assert " 0.1 instead of " in core["found"]


def test_in_an_image_its_own_locks_are_looked_at_and_nothing_is_to_be_installed(tmp_path: Path) -> None:
    (tmp_path / "locks").mkdir()
    (tmp_path / "locks" / "core.txt").write_text("typer==0.0.1\n")
    (core,) = doctor.packages(tmp_path)
    assert (core["what"], core["state"]) == ("packages: core", "failed")
    assert "instead of 0.0.1" in core["found"]
    assert core["remedy"] == "rebuild the image (make images), and set its new digest in the profile"


def test_a_good_finding_has_no_remedy() -> None:
    assert finding("x", True, "fine", "do it") == {"what": "x", "state": "ok", "found": "fine", "remedy": ""}
    assert finding("x", False, "bad", "do it", bad="warning")["state"] == "warning"

"""Facts for the record: of this machine, of machines with GPUs, and of a checkout with and without changes."""

import re
import subprocess
from pathlib import Path

from workflows.steps import provenance


def test_times_sort_as_text_and_are_of_utc() -> None:
    first, second = provenance.now(), provenance.now()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", first)
    assert first <= second


def test_every_machine_has_a_user_and_a_kind() -> None:
    assert provenance.user()
    assert len(provenance.machine().split()) == 2


def test_gpus_are_named_as_their_driver_names_them(tmp_path: Path) -> None:
    for number in (0, 1):
        directory = tmp_path / f"0000:0{number}:00.0"
        directory.mkdir()
        (directory / "information").write_text("Model: \t\t NVIDIA H100 80GB HBM3\nIRQ: 1\n")
    assert provenance.devices(tmp_path) == ("NVIDIA H100 80GB HBM3", "NVIDIA H100 80GB HBM3")


def test_without_gpus_the_processor_is_named(tmp_path: Path) -> None:
    processors = tmp_path / "cpuinfo"
    processors.write_text("processor\t: 0\nmodel name\t: Fast One\nprocessor\t: 1\nmodel name\t: Fast One\n")
    (name,) = provenance.devices(tmp_path / "none", processors)
    assert name.startswith("Fast One x ")
    assert provenance.devices(tmp_path / "none", tmp_path / "none") == ()


def _git(repository: Path, *words: str) -> str:
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    return subprocess.run(["git", "-C", str(repository), *identity, *words], capture_output=True, text=True, check=True).stdout


def test_a_checkout_has_a_commit_and_a_mark_where_it_was_changed(tmp_path: Path) -> None:
    assert provenance.commit(tmp_path / "none") == ""
    changed, clean = tmp_path / "changed", tmp_path / "clean"
    for repository in (changed, clean):
        repository.mkdir()
        _git(repository, "init")
        (repository / "code.py").write_text("1")
        _git(repository, "add", ".")
        _git(repository, "commit", "-m", "one")
        _git(repository, "tag", "v1")
    (changed / "code.py").write_text("2")
    assert provenance.commit(clean) == _git(clean, "rev-parse", "HEAD").strip()
    assert provenance.commit(changed) == _git(changed, "rev-parse", "HEAD").strip() + "+"

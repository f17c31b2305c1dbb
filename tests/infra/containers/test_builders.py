"""The stand-in refuses what the real programs refuse."""

from pathlib import Path

import pytest

from tests.infra.containers.builders import Builder, full_name, parsed


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("docker", ["build", "--layers", "."]),
        ("docker", ["build", "--tls-verify=false", "."]),
        ("docker", ["push", "--digestfile", "file", "image"]),
        ("podman", ["build", "--progress", "plain", "."]),
        ("buildah", ["save", "image"]),
        ("buildah", ["push", "--network", "host", "image"]),
        ("kind", ["load", "images", "image"]),
    ],
)
def test_what_a_program_does_not_know_is_refused(name: str, words: list[str]) -> None:
    with pytest.raises(SystemExit, match=r"unknown flag|knows no"):
        parsed(name, words)


def test_a_flag_s_value_follows_or_stands_in_it() -> None:
    command, flags, rest = parsed("buildah", ["build", "--layers", "--tls-verify=false", "--file", "f", "."])
    assert (command, flags, rest) == ("build", {"--layers": [""], "--tls-verify": ["false"], "--file": ["f"]}, ["."])


def test_a_name_without_a_host_is_another_image_for_docker_than_for_podman_and_buildah() -> None:
    names = {name: full_name(name, "longrun/core:1") for name in ("docker", "podman", "buildah")}
    assert names == {
        "docker": "docker.io/longrun/core:1",
        "podman": "localhost/longrun/core:1",
        "buildah": "localhost/longrun/core:1",
    }
    assert full_name("buildah", "localhost:5001/longrun/core:1") == "localhost:5001/longrun/core:1"


def test_an_image_that_was_not_built_cannot_be_pushed(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="image not known"):
        Builder(tmp_path, "podman").call(["push", "docker.io/longrun/core:1"])

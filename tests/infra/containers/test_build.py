"""`make images`: which builder is taken, what it is told, and what is said where that fails."""

import os
import subprocess
from pathlib import Path

import pytest

from infra.bundle import REPOSITORY
from infra.sbom import IMAGES

SCRIPT = REPOSITORY / "infra" / "containers" / "build.sh"


def _machine(directory: Path, *builders: str, engine: bool = True) -> str:
    """A PATH with the usual tools and stand-ins for these builders, which write down what they are told."""
    for tool in ("bash", "sed", "grep", "dirname"):
        (directory / tool).symlink_to(f"/usr/bin/{tool}" if Path(f"/usr/bin/{tool}").exists() else f"/bin/{tool}")
    for builder in builders:
        program = directory / builder
        program.write_text(
            f'#!/bin/bash\n[ "$1" != info ] || exit {0 if engine else 1}\necho {builder} "$@" >> {directory}/told\n'
        )
        program.chmod(0o755)
    return str(directory)


def _build(path: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(SCRIPT)], env={"PATH": path, **variables}, capture_output=True, text=True, check=False)


def test_every_image_is_built_and_named(tmp_path: Path) -> None:
    done = _build(_machine(tmp_path, "podman"), REGISTRY="registry.example.com/longrun", VERSION="1.2.3")
    assert done.returncode == 0, done.stderr
    told = (tmp_path / "told").read_text().splitlines()
    start = "podman build --file infra/containers/Containerfile --target"
    assert told == [f"{start} {image} --tag registry.example.com/longrun/{image}:1.2.3 ." for image in IMAGES]


def test_the_version_is_the_project_s(tmp_path: Path) -> None:
    assert _build(_machine(tmp_path, "docker"), IMAGES="core").returncode == 0
    assert "--tag longrun/core:0.4.0 " in (tmp_path / "told").read_text()


def test_the_first_builder_that_is_there_is_taken(tmp_path: Path) -> None:
    _build(_machine(tmp_path, "buildah", "docker"), IMAGES="core")
    assert (tmp_path / "told").read_text().startswith("docker ")


def test_another_can_be_chosen(tmp_path: Path) -> None:
    _build(_machine(tmp_path, "buildah", "docker"), IMAGES="core", BUILDER="buildah")
    assert (tmp_path / "told").read_text().startswith("buildah ")


def test_base_and_index_are_passed_on(tmp_path: Path) -> None:
    base = f"registry.example.com/python@sha256:{'a' * 64}"
    _build(_machine(tmp_path, "docker"), IMAGES="train", BASE=base, UV_INDEX="https://example.com/cpu")
    assert f"--build-arg BASE={base} --build-arg UV_INDEX=https://example.com/cpu ." in (tmp_path / "told").read_text()


@pytest.mark.parametrize(
    ("builders", "variables", "message"),
    [
        ((), {}, "no builder of images on the PATH: install docker, podman or buildah"),
        (("docker",), {"BUILDER": "podman"}, "BUILDER is podman, and podman is not on the PATH"),
        (("docker",), {"BUILDER": "make"}, "BUILDER is make; allowed: docker, podman, buildah"),
        (("docker",), {"BASE": "python:3.11"}, "BASE is python:3.11; allowed: an image by digest"),
        (("docker",), {"IMAGES": "gpu"}, "no stage gpu in infra/containers/Containerfile"),
    ],
)
def test_what_cannot_be_built_is_said_in_one_line(
    builders: tuple[str, ...], variables: dict[str, str], message: str, tmp_path: Path
) -> None:
    done = _build(_machine(tmp_path, *builders), **variables)
    assert done.returncode == 1
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not (tmp_path / "told").exists()


def test_an_engine_that_does_not_answer_is_named(tmp_path: Path) -> None:
    done = _build(_machine(tmp_path, "docker", engine=False))
    assert done.returncode == 1
    assert "docker is here, but its engine does not answer" in done.stderr


def test_the_script_can_be_run() -> None:
    assert os.access(SCRIPT, os.X_OK)

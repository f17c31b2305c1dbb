"""`make images` and `make push`: which builder is taken, what it is told, which digests are kept, what is said of failures."""

import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

from infra.bundle import PROJECT_ROOT
from infra.cluster.profiles import IMAGE_GROUPS
from tests.infra.containers import builders
from tests.infra.containers.builders import digest

SCRIPT = PROJECT_ROOT / "infra" / "containers" / "build.sh"
BUILT = (*IMAGE_GROUPS, "tracking")
EVERY = pytest.mark.parametrize("builder", ["docker", "podman", "buildah"])


def machine(directory: Path, *programs: str, engine: bool = True) -> str:
    """A PATH with the usual tools and stand-ins for these programs."""
    for tool in ("bash", "cat", "dirname", "grep", "mkdir", "mktemp", "rm", "sed", "tail", "tee"):
        (directory / tool).symlink_to(str(shutil.which(tool, path="/usr/bin:/bin")))
    for program in programs:
        stand_in = f'exec {sys.executable} -SE {builders.__file__} {directory} {program} "$@"'
        dead = "" if engine else '[ "$1" != info ] || exit 1\n'
        (directory / program).write_text(f"#!/bin/bash\n{dead}{stand_in}\n")
        (directory / program).chmod(0o755)
    return str(directory)


def build(path: str, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {"PATH": path, "DIGESTS": f"{path}/images.toml", "TMPDIR": path} | variables
    return subprocess.run([str(SCRIPT), *words], env=environment, capture_output=True, text=True, check=False)


def told(directory: Path, command: str = "build") -> list[str]:
    lines = (directory / "told").read_text().splitlines() if (directory / "told").exists() else []
    return [line for line in lines if line.split()[1] == command]


@EVERY
def test_what_a_profile_and_the_chart_name_is_built(builder: str, tmp_path: Path) -> None:
    done = build(machine(tmp_path, builder), REGISTRY="registry.example.com/longrun", VERSION="1.2.3", TORCH="cpu")
    assert done.returncode == 0, done.stderr
    torch = "--build-arg TORCH=cpu --build-arg TORCH_INDEX=https://download.pytorch.org/whl/cpu"
    layers = " --layers" if builder == "buildah" else ""
    start = f"{builder} build --file infra/containers/Containerfile --target"
    named = [(image, f"registry.example.com/longrun/{image}:1.2.3") for image in BUILT]
    assert told(tmp_path) == [f"{start} {image} --tag {name} {torch}{layers} ." for image, name in named]


@EVERY
def test_the_digests_after_a_push_are_the_registry_s_and_a_part_of_a_profile(builder: str, tmp_path: Path) -> None:
    done = build(machine(tmp_path, builder), "--push", REGISTRY="ghcr.io/example/longrun", TORCH="cpu")
    assert done.returncode == 0, done.stderr
    names = {image: f"ghcr.io/example/longrun/{image}:0.4.0" for image in BUILT}
    expected = {image: digest("pushed", name) for image, name in names.items()}
    kept = tomllib.loads((tmp_path / "images.toml").read_text())
    assert kept == {"image_registry": "ghcr.io/example/longrun", "image_digests": expected}
    assert done.stdout == (tmp_path / "images.toml").read_text()


def test_a_push_to_docker_hub_has_its_digests_too(tmp_path: Path) -> None:
    done = build(machine(tmp_path, "docker"), "--push", REGISTRY="example", IMAGES="core")
    assert done.returncode == 0, done.stderr
    assert digest("pushed", "docker.io/example/core:0.4.0") in done.stdout


@EVERY
def test_without_a_push_the_digests_are_those_of_this_machine_and_say_so(builder: str, tmp_path: Path) -> None:
    done = build(machine(tmp_path, builder), IMAGES="core")
    assert f'core = "{digest("built", "docker.io/longrun/core:0.4.0")}"' in done.stdout
    assert done.stdout.startswith(f"# local digests of {builder}; a registry may assign others")


@EVERY
def test_images_are_loaded_into_kind_under_the_same_names(builder: str, tmp_path: Path) -> None:
    done = build(machine(tmp_path, builder, "kind"), "--load", "trial", IMAGES="core tracking", BUILDER=builder)
    assert done.returncode == 0, done.stderr
    loads = told(tmp_path, "load")
    assert len(loads) == 2
    assert all(line.startswith("kind load image-archive ") and line.endswith(" --name trial") for line in loads)
    assert not list(tmp_path.glob("tmp.*"))


@EVERY
def test_the_kind_recipe_of_the_documents_loads_what_the_chart_asks_for(builder: str, tmp_path: Path) -> None:
    text = (PROJECT_ROOT / "charts" / "README.md").read_text(encoding="utf-8")
    (line,) = re.findall(r"^make images (.*LOAD.*)$", text, re.MULTILINE)
    said = dict(word.split("=", 1) for word in shlex.split(line))
    done = build(machine(tmp_path, builder, "kind"), "--load", said.pop("LOAD"), BUILDER=builder, **said)
    assert done.returncode == 0, done.stderr
    values = yaml.safe_load((PROJECT_ROOT / "charts" / "longrun" / "values.yaml").read_text(encoding="utf-8"))["images"]
    version = yaml.safe_load((PROJECT_ROOT / "charts" / "longrun" / "Chart.yaml").read_text(encoding="utf-8"))["appVersion"]
    # a name without a host is Docker Hub's for Kubernetes: k8s.io/docs/concepts/containers/images
    asked = {f"docker.io/{values[image]['repository']}:{version}" for image in ("core", "tracking")}
    assert set(builders.Builder(tmp_path, builder).images()) == asked
    assert len(told(tmp_path, "load")) == len(asked)


@EVERY
def test_further_flags_reach_the_builder(builder: str, tmp_path: Path) -> None:
    flags = {"BUILD_FLAGS": "--network host --no-cache", "PUSH_FLAGS": "--quiet"}
    done = build(machine(tmp_path, builder), "--push", REGISTRY="localhost:5001/longrun", IMAGES="core", **flags)
    assert done.returncode == 0, done.stderr
    assert "--network host --no-cache ." in told(tmp_path)[0]
    assert f"{builder} push --quiet " in told(tmp_path, "push")[0]


def test_a_flag_that_the_builder_does_not_know_ends_the_build_in_its_words(tmp_path: Path) -> None:
    done = build(machine(tmp_path, "docker"), IMAGES="core", BUILD_FLAGS="--tls-verify=false")
    assert done.returncode != 0
    assert "unknown flag: --tls-verify" in done.stderr
    assert not (tmp_path / "images.toml").exists()


def test_an_index_certificates_and_a_login_are_passed_on_and_the_login_is_no_argument(tmp_path: Path) -> None:
    (tmp_path / "netrc").write_text("machine pypi.example.com login me password planted")
    (tmp_path / "ca.pem").write_text("")
    files = {"NETRC": str(tmp_path / "netrc"), "CA": str(tmp_path / "ca.pem")}
    done = build(machine(tmp_path, "docker"), IMAGES="core", INDEX="https://pypi.example.com/simple", **files)
    assert done.returncode == 0, done.stderr
    (line,) = told(tmp_path)
    secrets = f"--secret id=netrc,src={tmp_path}/netrc --secret id=ca,src={tmp_path}/ca.pem"
    assert f"--build-arg INDEX=https://pypi.example.com/simple {secrets} ." in line
    assert "planted" not in line


def test_images_that_compile_kernels_for_gpus_have_a_base_with_a_compiler(tmp_path: Path) -> None:
    assert build(machine(tmp_path, "docker"), IMAGES="core train evaluate vllm tracking").returncode == 0
    bases = {line.split()[5]: "BASE=docker.io/library/python:3.11-bookworm@sha256:" in line for line in told(tmp_path)}
    assert bases == {"core": False, "train": True, "evaluate": True, "vllm": True, "tracking": False}


def test_a_base_of_one_s_own_is_that_of_every_image_unless_gpus_have_another(tmp_path: Path) -> None:
    own, other = (f"registry.example.com/{name}@sha256:{'a' * 64}" for name in ("python", "cuda"))
    path = machine(tmp_path, "docker")
    build(path, IMAGES="core train", BASE=own)
    build(path, IMAGES="core train", BASE=own, GPU_BASE=other)
    assert [line.partition("BASE=")[2].split()[0] for line in told(tmp_path)] == [own, own, own, other]


def test_the_first_builder_that_is_there_is_taken(tmp_path: Path) -> None:
    build(machine(tmp_path, "buildah", "docker"), IMAGES="core")
    assert told(tmp_path)[0].startswith("docker ")


def test_another_can_be_chosen(tmp_path: Path) -> None:
    build(machine(tmp_path, "buildah", "docker"), IMAGES="core", BUILDER="buildah")
    assert told(tmp_path)[0].startswith("buildah ")


@pytest.mark.parametrize(
    ("programs", "words", "variables", "message"),
    [
        ((), (), {}, "no image builder on the PATH: install docker, podman or buildah"),
        (("docker",), (), {"BUILDER": "podman"}, "BUILDER is podman, but podman is not on the PATH"),
        (("docker",), (), {"BUILDER": "make"}, "BUILDER is make; allowed: docker, podman, buildah"),
        (("docker",), (), {"BASE": "python:3.11"}, "BASE is python:3.11; allowed: an image with a digest"),
        (("docker",), (), {"GPU_BASE": "python:3.11"}, "GPU_BASE is python:3.11; allowed: an image with a digest"),
        (("docker",), (), {"IMAGES": "gpu"}, "IMAGES names gpu, which is not a stage of infra/containers/Containerfile"),
        (("docker",), (), {"IMAGES": "vllm", "TORCH": "cpu"}, "IMAGES names vllm, which exists only with CUDA's torch"),
        (("docker",), (), {"TORCH": "rocm"}, "TORCH is rocm; allowed: cuda, cpu"),
        (("docker",), (), {"UV_INDEX": "https://example.com"}, "UV_INDEX is no longer supported: use TORCH=cpu"),
        (
            ("docker",),
            (),
            {"INDEX": "https://me:planted@example.com"},
            "INDEX contains a login (not shown), which would stay in the image",
        ),
        (("docker",), (), {"CA": "/nowhere"}, "CA is /nowhere, which is not a readable file"),
        (("docker",), ("--push",), {}, "REGISTRY is not set; set it to the registry to push to"),
        (("docker",), ("--publish",), {}, "--publish is unknown; allowed: --push, --load CLUSTER"),
        (("docker",), ("--load",), {}, "--load needs the name of a kind cluster"),
        (("docker",), ("--load", "trial"), {}, "kind is not on the PATH"),
    ],
)
def test_what_cannot_be_built_is_said_in_one_line(
    programs: tuple[str, ...], words: tuple[str, ...], variables: dict[str, str], message: str, tmp_path: Path
) -> None:
    done = build(machine(tmp_path, *programs), *words, **variables)
    assert done.returncode == 1
    assert message in done.stderr
    assert "planted" not in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert told(tmp_path) == []


def test_an_engine_that_does_not_answer_is_named(tmp_path: Path) -> None:
    done = build(machine(tmp_path, "docker", engine=False))
    assert done.returncode == 1
    assert "docker is installed, but its engine does not answer" in done.stderr


def test_the_script_can_be_run() -> None:
    assert os.access(SCRIPT, os.X_OK)

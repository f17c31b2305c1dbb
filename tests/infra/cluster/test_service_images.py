"""References of the charts' images: read, with_registry, overridden; what is none is refused in a line."""

from pathlib import Path

import pytest

from components.errors import ConfigError
from infra.cluster.service_images import Reference, default_reference, read_overrides, references

PINNED = f"sha256:{'7' * 64}"


@pytest.mark.parametrize(
    "text",
    ["host/a:17", "host:5000/a/b:v1", f"host/a@{PINNED}", f"host/a:v1@{PINNED}"],
    ids=["tag", "port", "digest", "both"],
)
def test_a_reference_is_read_and_said_again(text: str) -> None:
    assert str(Reference.parse(text, "x")) == text


@pytest.mark.parametrize("text", ["", "postgres:17", "host/a", "https://host/a:1", "host/a@sha256:7", "host/A:1", "host/a:1 b"])
def test_what_is_no_reference_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=r"image x: .* is not an image reference with a tag or digest; allowed: HOST/NAME:TAG"):
        Reference.parse(text, "image x")


@pytest.mark.parametrize(
    ("repository", "with_registry"),
    [
        ("quay.io/a/operator", "mirror:5000/x/a/operator"),
        ("localhost/a", "mirror:5000/x/a"),
        ("longrun/core", "mirror:5000/x/longrun/core"),
        ("mirror:5000/x/core", "mirror:5000/x/core"),
    ],
)
def test_in_a_mirror_the_host_gives_way_and_path_tag_and_digest_stay(repository: str, with_registry: str) -> None:
    assert str(Reference(repository, "v1", PINNED).with_registry("mirror:5000/x")) == f"{with_registry}:v1@{PINNED}"


def test_tags_and_digests_are_those_of_our_values_files() -> None:
    assert str(default_reference("kuberay")) == "quay.io/kuberay/operator:v1.7.0"
    assert str(default_reference("wait-for-db")).startswith("docker.io/library/postgres:")
    assert default_reference("console").digest.startswith("sha256:")
    assert default_reference("store").digest.startswith("sha256:")


def test_without_registry_only_what_is_named_is_set() -> None:
    assert references({}) == {}
    assert {name: str(chosen) for name, chosen in references({}, overrides={"postgres": "m/p:1"}).items()} == {
        "postgres": "m/p:1"
    }
    own = {"core": Reference("r/core", "1")}
    assert references(own) == own


def test_names_and_registries_that_are_none_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"unknown image 'postgre'; allowed: kuberay, flyte, console, wait"):
        references({}, overrides={"postgre": PINNED})
    with pytest.raises(ConfigError, match=r"--registry 'https://m': allowed: host and path"):
        references({}, "https://m")


@pytest.mark.parametrize("text", ["a: 1\n", "- a\n", "a: [\n"])
def test_a_file_that_is_none_is_named(text: str, tmp_path: Path) -> None:
    path = tmp_path / "images.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"--images .*images\.yaml: "):
        read_overrides(path)
    with pytest.raises(ConfigError, match=r"--images .*absent: "):
        read_overrides(tmp_path / "absent")

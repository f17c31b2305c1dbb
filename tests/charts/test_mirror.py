"""With `deploy --registry` nothing is pulled from elsewhere: our chart as helm renders it, the others by their defaults."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from infra.cluster.helm import Release, Sources, releases, template
from infra.cluster.service_images import IMAGES
from tests.charts import helm, operators
from tests.charts.operators import OPERATORS
from tests.infra.conftest import sample_profile

MIRROR = "mirror.example.com:5000/longrun"
PINNED = f"sha256:{'7' * 64}"


def mirrored(name: str, shape: str = "trial", **sources: Any) -> Release:
    planned = releases(sample_profile(), Sources(values=[shape], registry=MIRROR, **sources))
    return next(release for release in planned if release.name == name)


def pulled(document: object) -> Iterator[str]:
    """Every image that a rendered document names, wherever it stands."""
    if isinstance(document, dict):
        for key, value in document.items():
            if key == "image" and isinstance(value, str):
                yield value
            yield from pulled(value)
    elif isinstance(document, list):
        for value in document:
            yield from pulled(value)


@pytest.mark.parametrize("shape", helm.SHAPES)
def test_our_chart_pulls_from_the_mirror_alone(shape: str) -> None:
    done = helm.run(*template(mirrored("longrun", shape), sample_profile())[1:])
    assert done.returncode == 0, done.stderr
    images = set(pulled(list(yaml.safe_load_all(done.stdout))))
    assert images
    assert {image for image in images if not image.startswith(f"{MIRROR}/")} == set()


def test_without_a_mirror_it_would_pull_from_elsewhere() -> None:
    assert any(not image.startswith(MIRROR) for image in pulled(list(helm.documents("trial"))))


@pytest.mark.parametrize("shape", helm.SHAPES)
def test_the_chart_moves_its_images_to_the_same_names(shape: str) -> None:
    charts_own = set(pulled(list(helm.documents(shape, "--set", f"images.registry={MIRROR}"))))
    own = {image for image in charts_own if image.endswith(("/postgres:17.10",)) or "seaweedfs" in image}
    done = helm.run(*template(mirrored("longrun", shape), sample_profile())[1:])
    assert own <= set(pulled(list(yaml.safe_load_all(done.stdout))))


@pytest.mark.parametrize("operator", OPERATORS)
def test_every_image_that_an_operators_values_name_is_set_to_the_mirror(operator: str) -> None:
    settings = mirrored(operator).settings
    for key, image in operators.images(operators.values(operator)):
        assert image["repository"], key
        (repository,) = [setting for setting in settings if setting.startswith(f"{key}.repository=")]
        assert repository.partition("=")[2] == f"{MIRROR}/{image['repository'].partition('/')[2]}"
        assert f"{key}.tag={image['tag']}" in settings


@pytest.mark.parametrize("operator", OPERATORS)
def test_an_operators_chart_names_images_nowhere_else(operator: str) -> None:
    known = {key for image in IMAGES.values() if image.release == operator for key in image.keys}
    assert known == {key for key, _ in operators.images(operators.values(operator))}
    elsewhere = {text for key, text in strings(operators.values(operator)) if key.rpartition(".")[0] not in known}
    assert {text for text in elsewhere if re.fullmatch(r"[a-z0-9.-]+\.[a-z]+/[a-z0-9/_-]+(:[\w.-]+)?", text)} <= GROUPS


GROUPS = {"rbac.authorization.k8s.io/v1"}
"""What looks like an image and is none."""


def strings(values: object, above: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(values, dict):
        for key, value in values.items():
            yield from strings(value, f"{above}.{key}".lstrip("."))
    elif isinstance(values, str):
        yield above, values


def test_a_digest_overrides_that_of_any_chart_in_one_file(tmp_path: Path) -> None:
    path = tmp_path / "images.yaml"
    path.write_text(f"postgres: {PINNED}\nkuberay: {PINNED}\nflyte: other.example.com/flyte@{PINNED}\n")
    done = helm.run(*template(mirrored("longrun", images=path), sample_profile())[1:])
    assert f"{MIRROR}/library/postgres@{PINNED}" in set(pulled(list(yaml.safe_load_all(done.stdout))))
    assert f"image.tag=v1.7.0@{PINNED}" in mirrored("kuberay", images=path).settings
    flyte = mirrored("flyte", images=path).settings
    for key in IMAGES["flyte"].keys:
        assert f"{key}.repository=other.example.com/flyte" in flyte
        assert f"{key}.tag=pinned@{PINNED}" in flyte

"""All images of our chart from one registry, each by a digest that one value overrides."""

import pytest

from tests.charts import helm

MIRROR = "registry.internal:5000/mirror"
DIGEST = f"sha256:{'d' * 64}"


def pulled(shape: str, *arguments: str) -> set[str]:
    """Every image of every pod."""
    return {c["image"] for pod in helm.pod_templates(shape, *arguments).values() for c in helm.containers(pod)}


@pytest.mark.parametrize("shape", helm.SHAPES)
def test_with_a_mirror_nothing_is_pulled_from_elsewhere(shape: str) -> None:
    images = pulled(shape, "--set", f"images.registry={MIRROR}")
    assert len(images) == len(pulled(shape))
    assert [image for image in images if not image.startswith(f"{MIRROR}/")] == []


def test_in_a_mirror_the_registry_s_host_gives_way_and_the_path_stays() -> None:
    images = pulled("trial", "--set", f"images.registry={MIRROR}", "--set", "images.tracking.repository=localhost/lr/tracking")
    assert {image.partition("@")[0].rpartition(":")[0] or image for image in images if "@" not in image} == {
        f"{MIRROR}/lr/tracking",
        f"{MIRROR}/library/postgres",
    }
    (store,) = [image for image in images if "@" in image]
    assert store.startswith(f"{MIRROR}/chrislusf/seaweedfs@sha256:")


def test_an_image_that_is_in_the_mirror_stays_where_it_is() -> None:
    own = f"{MIRROR}/longrun/tracking"
    images = pulled("trial", "--set", f"images.registry={MIRROR}", "--set", f"images.tracking.repository={own}")
    assert f"{own}:{helm.chart()['appVersion']}" in images


@pytest.mark.parametrize("name", ["tracking", "core", "postgres", "store"])
def test_every_image_s_digest_is_one_value(name: str) -> None:
    shape = "production" if name == "core" else "trial"
    images = pulled(shape, "--set", f"images.registry={MIRROR}", "--set", f"images.{name}.digest={DIGEST}")
    (pinned,) = [image for image in images if image.endswith(f"@{DIGEST}")]
    assert pinned.startswith(f"{MIRROR}/")


def test_pods_of_the_chart_and_of_tasks_log_in_to_the_registry() -> None:
    secrets = [{"name": "registry"}]
    assert [n for n, pod in helm.pod_templates("production").items() if pod["spec"].get("imagePullSecrets") != secrets] == []
    accounts = helm.of_kind("production", "ServiceAccount")
    assert {name for name, account in accounts.items() if account.get("imagePullSecrets") == secrets} == {"longrun-tasks"}
    assert "imagePullSecrets" not in helm.of_kind("trial", "ServiceAccount")["longrun-tasks"]


@pytest.mark.parametrize(
    "wrong", ["https://registry.internal", "registry.internal/Mirror", "registry.internal:tag", "registry.internal/"]
)
def test_a_registry_is_a_host_and_a_path(wrong: str) -> None:
    done = helm.render("trial", "--set", f"images.registry={wrong}")
    assert done.returncode != 0
    assert "registry" in done.stderr

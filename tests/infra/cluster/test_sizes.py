"""Sizes of pods: requests within limits, and a profile's own over the named ones."""

from typing import Any

import pytest

from components.errors import ConfigError
from infra.cluster.sizes import PODS, SIZES, Size, cores, in_bytes, size_of


def test_every_named_size_has_every_kind_of_pod() -> None:
    assert {name: tuple(pods) for name, pods in SIZES.items()} == dict.fromkeys(("trial", "default", "gpu"), PODS)


def test_quantities_are_read_as_kubernetes_reads_them() -> None:
    assert [cores(text) for text in ("4", "0.5", "250m")] == [4, 0.5, 0.25]
    assert [in_bytes(text) for text in ("1Ki", "512Mi", "2Gi", "1Ti", "42")] == [2**10, 2**29, 2**31, 2**40, 42]
    with pytest.raises(ConfigError, match=r"'8GB' is not an amount of memory; allowed: such as 512Mi or 16Gi"):
        in_bytes("8GB")


def test_without_requests_of_its_own_a_pod_asks_for_what_it_may_take() -> None:
    size = Size(cores="4", memory="16Gi")
    assert size.requests == size.limits == {"cpu": "4", "memory": "16Gi"}
    apart = Size(cores="4", memory="16Gi", request_cores="500m", request_memory="2Gi")
    assert (apart.requests, apart.limits) == ({"cpu": "500m", "memory": "2Gi"}, size.limits)


def test_a_pod_works_with_its_whole_processors_and_at_least_one() -> None:
    assert [Size(cores=text, memory="1Gi").threads for text in ("4", "2.9", "500m")] == [4, 2, 1]


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "cores": ({"cores": "many"}, r"sizes\.train: Size\.cores is 'many'; allowed: such as 4, 0\.5 or 500m"),
    "none": ({"cores": "0"}, r"Size\.cores is '0'; allowed: more than 0"),
    "memory": ({"memory": "16GB"}, r"Size\.memory is '16GB'; allowed: such as 512Mi or 16Gi"),
    "no memory": ({"memory": ""}, r"Size\.memory is ''"),
    "more cores asked for than taken": ({"request_cores": "5"}, r"request_cores is '5'; allowed: at most cores \(4\)"),
    "more memory asked for than taken": ({"request_memory": "17Gi"}, r"request_memory is '17Gi'; .*at most memory \(16Gi\)"),
    "shared memory": ({"shared_memory": "9Gi"}, r"shared_memory is '9Gi'; allowed: at most half of memory \(16Gi\)"),
    "key": ({"cpus": "4"}, r"sizes\.train: unknown key 'cpus'; allowed: cores, memory, shared_memory, request_cores"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_no_size_is_refused_with_the_pod_that_it_is_of(case: str) -> None:
    changes, message = WRONG[case]
    with pytest.raises(ConfigError, match=message) as caught:
        size_of("default", "train", {"train": changes}, 8)
    assert str(caught.value).startswith("sizes.train: ")


def test_what_a_profile_changes_goes_over_the_named_size_and_the_rest_stays() -> None:
    assert size_of("trial", "train", {"train": {"memory": "6Gi"}}, 8) == Size(
        cores="2", memory="6Gi", shared_memory="512Mi", request_cores="100m", request_memory="2560Mi"
    )
    assert size_of("trial", "data", {"train": {"memory": "6Gi"}}, 8) == SIZES["trial"]["data"]


def test_a_training_pod_with_gpus_grows_with_them() -> None:
    assert size_of("gpu", "train", {}, 8) == Size(cores="80", memory="800Gi", shared_memory="240Gi")
    assert size_of("gpu", "train", {}, 1) == SIZES["gpu"]["train"]
    assert size_of("gpu", "train", {"train": {"cores": "12"}}, 1).cores == "12"

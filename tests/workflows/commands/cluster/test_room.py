"""A recipe that asks for more workers than a cluster has room for is told so before anything is submitted."""

from dataclasses import replace

import pytest

from components.errors import ConfigError
from tests.infra.conftest import sample_profile
from workflows.commands.cluster.room import require_room, shortage
from workflows.recipe import Recipe, load_recipe


def of_workers(count: int, min_workers: int | None = None) -> Recipe:
    recipe = load_recipe("tiny")
    training = replace(recipe.pretraining.training, workers=count, min_workers=min_workers)
    return replace(recipe, pretraining=replace(recipe.pretraining, batch_size=4 * count, training=training))


def test_more_training_workers_than_gpus_or_cores_are_refused_with_what_there_is() -> None:
    with pytest.raises(
        ConfigError, match=r"recipe tiny runs pretraining on 3 workers, and .* has 2 cores .* sizes\.train\.cores"
    ):
        require_room(of_workers(3), sample_profile(gpus=(), size="trial"))
    with pytest.raises(
        ConfigError, match=r"on 9 workers, and a Ray cluster of the profile has 8 GPUs .* gpus_per_worker in the profile$"
    ):
        require_room(of_workers(9), sample_profile())


def test_what_the_profile_raises_makes_room() -> None:
    trial = sample_profile(gpus=(), size="trial")
    assert shortage(of_workers(2), trial) == ""
    assert shortage(of_workers(3), replace(trial, sizes={"train": {"cores": "3"}})) == ""
    assert shortage(of_workers(3), replace(trial, workers=2)) == ""
    assert shortage(of_workers(16), sample_profile(workers=2)) == ""


def test_an_elastic_training_starts_with_as_many_as_it_needs_at_least() -> None:
    assert shortage(of_workers(4, min_workers=2), sample_profile(gpus=(), size="trial")) == ""


def test_a_run_that_ends_before_training_asks_for_no_training_workers() -> None:
    profile = sample_profile(gpus=(), size="trial")
    assert shortage(of_workers(3), profile, "scaling") == ""
    assert shortage(of_workers(3), profile, "pretraining") != ""

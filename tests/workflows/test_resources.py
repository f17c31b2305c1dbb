"""Room is asked for before a recipe's work starts, as pretraining will ask for it."""

from dataclasses import replace
from pathlib import Path

import pytest

from components.errors import ResourceError
from components.flops import CHECKPOINT_BYTES, parameters
from tests.training_configs import with_training
from workflows.recipe import Recipe, load_recipe
from workflows.resources import disk_bytes, require_disk


def keeping(**changes: object) -> Recipe:
    recipe = load_recipe("tiny")
    return replace(recipe, pretraining=with_training(recipe.pretraining, **changes))


@pytest.mark.parametrize("changes", [{"checkpoint_keep": 5}, {"checkpoint_permanent": (0.2, 0.4, 0.6, 0.8)}])
def test_every_checkpoint_that_is_kept_counts(changes: dict[str, object]) -> None:
    shape = keeping().pretraining.shape
    assert shape is not None
    assert disk_bytes(keeping(**changes)) - disk_bytes(keeping()) == 3 * CHECKPOINT_BYTES * parameters(shape)


def test_a_recipe_is_refused_for_more_checkpoints_than_the_disk_holds(tmp_path: Path) -> None:
    require_disk(keeping(), tmp_path)
    with pytest.raises(ResourceError, match=r"recipe tiny needs .* GiB of disk, and .* GiB free"):
        require_disk(keeping(checkpoint_keep=10**9), tmp_path)

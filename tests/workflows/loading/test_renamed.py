"""Fields that were renamed."""

import dataclasses
import typing
from pathlib import Path
from typing import Any

import pytest

from components.errors import ConfigError
from workflows.loading import apply_override
from workflows.loading.renamed import RENAMED, hint_for, new_name_of
from workflows.recipe import Recipe, load_recipe
from workflows.recipes.smoke import smoke


def _field(owner: Any, path: list[str]) -> bool:
    hints = typing.get_type_hints(owner)
    if path[0] not in hints:
        return False
    kinds = [hint for hint in (hints[path[0]], *typing.get_args(hints[path[0]])) if dataclasses.is_dataclass(hint)]
    return len(path) == 1 or any(_field(kind, path[1:]) for kind in kinds)


@pytest.mark.parametrize("old", RENAMED)
def test_the_new_name_exists_and_the_old_one_does_not(old: str) -> None:
    assert all(_field(Recipe, new.split(".")) for new in RENAMED[old].split(" and "))
    assert not _field(Recipe, old.split("."))


@pytest.mark.parametrize("old", RENAMED)
def test_an_override_by_an_old_name_says_the_new_one(old: str) -> None:
    with pytest.raises(ConfigError, match=f"{old}: this field was renamed to {RENAMED[old]}"):
        apply_override(smoke(), f"{old}=1")


def test_a_field_inside_a_renamed_one_is_found() -> None:
    assert new_name_of("nowhere") == ""
    for old, new in RENAMED.items():
        assert new_name_of(f"{old}.inner") == f"{new}.inner"


def test_a_recipe_file_with_an_old_name_is_told_the_new_one(tmp_path: Path) -> None:
    old = next(name for name in RENAMED if name.startswith("curation.") and name.count(".") == 1)
    field = old.partition(".")[2]
    lines = ["from dataclasses import replace", "from workflows.recipes.smoke import smoke", "", "def mine():"]
    lines += ["    base = smoke()", f"    return replace(base, curation=replace(base.curation, {field}=1))"]
    (tmp_path / "mine.py").write_text("\n".join(lines))
    with pytest.raises(ConfigError, match=hint_for(field)):
        load_recipe(str(tmp_path / "mine.py"))


def test_a_field_that_was_moved_into_another_config_is_said_with_the_way_to_it() -> None:
    assert hint_for("checkpoint_seconds") == "checkpoint_seconds was renamed to training.checkpoints.seconds"
    assert new_name_of("sft.optimizer.clip") == "sft.training.optimizer.clip"

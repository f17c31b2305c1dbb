"""What the built-in recipes and sweeps say, and the defaults of all configs: a change shows in the diff of tests/golden."""

import json

import pytest

from tests.golden.built_in import DEFAULTS, FOLDER, NAMES, resolved


@pytest.mark.parametrize("name", NAMES)
def test_a_built_in_config_is_what_it_was(name: str) -> None:
    golden = FOLDER / f"{name}.json"
    assert golden.read_text(encoding="utf-8") == resolved(name), "a value has changed; `make golden` writes them again"


def test_each_golden_file_is_of_something_built_in() -> None:
    assert {path.stem for path in FOLDER.glob("*.json")} == set(NAMES)


@pytest.mark.parametrize("number", ["weight_decay", "milestones", "spike_deviations"])
def test_a_default_that_no_recipe_decides_is_written_once(number: str) -> None:
    spelt = {path.stem: path.read_text(encoding="utf-8").count(f'"{number}"') for path in FOLDER.glob("*.json")}
    assert {name for name, count in spelt.items() if count} == {DEFAULTS}
    assert spelt[DEFAULTS] == 1


def test_a_recipe_says_what_it_decides() -> None:
    tiny = json.loads((FOLDER / "tiny.json").read_text(encoding="utf-8"))
    assert tiny["pretraining"]["training"]["checkpoints"] == {"seconds": 30.0, "steps": 50}
    assert tiny["registration"] == {}

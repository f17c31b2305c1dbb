"""What the built-in recipes and sweeps resolve to: a changed default shows in the diff of tests/golden."""

import pytest

from tests.golden.built_in import FOLDER, NAMES, resolved


@pytest.mark.parametrize("name", NAMES)
def test_a_built_in_config_is_what_it_was(name: str) -> None:
    golden = FOLDER / f"{name}.json"
    assert golden.read_text(encoding="utf-8") == resolved(name), "a value has changed; `make golden` writes them again"


def test_each_golden_file_is_of_something_built_in() -> None:
    assert {path.stem for path in FOLDER.glob("*.json")} == set(NAMES)

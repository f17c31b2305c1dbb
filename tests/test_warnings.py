"""Warnings: what our own code causes is an error in the tests, what a library says of itself is not."""

import warnings

import pytest

WARNING = "import warnings; warnings.warn('old', DeprecationWarning)"


@pytest.mark.parametrize("module", ["components.old", "infra.ray.old", "workflows.old", "tests.old"])
def test_a_warning_of_our_own_code_is_an_error(module: str) -> None:
    with pytest.raises(DeprecationWarning):
        exec(WARNING, {"__name__": module})


def test_a_warning_of_a_library_is_none() -> None:
    with warnings.catch_warnings(record=True) as seen:
        exec(WARNING, {"__name__": "library.old"})
    assert len(seen) == 1

"""The exception tree: one root, one line each, and the exit status of the command line."""

import inspect

import pytest

from components import errors
from components.errors import ConfigError, HomeError, LongrunError, require

KINDS = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, Exception)]


@pytest.mark.parametrize("kind", KINDS)
def test_every_error_is_caught_as_a_longrun_error(kind: type[Exception]) -> None:
    assert issubclass(kind, LongrunError)


@pytest.mark.parametrize("kind", KINDS)
def test_wrong_usage_exits_with_2_and_a_failed_run_with_1(kind: type[LongrunError]) -> None:
    assert kind.exit_code == (2 if issubclass(kind, (ConfigError, HomeError)) else 1)


class Owner:
    """Somebody with a field."""


def test_require_names_the_owner_the_field_the_value_and_what_is_allowed() -> None:
    with pytest.raises(ConfigError, match=r"^Owner\.rate is -1; allowed: a positive number$"):
        require(False, Owner(), "rate", -1, "a positive number")


def test_require_says_nothing_where_the_condition_holds() -> None:
    require(True, Owner(), "rate", 1, "a positive number")


def test_an_error_is_said_in_one_line() -> None:
    assert errors.single_line(ValueError("two\n  lines")) == "two lines"
    assert errors.single_line(ValueError("a long one"), 6) == "a long"
    assert errors.single_line(ValueError()) == "ValueError"

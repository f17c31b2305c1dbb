"""The exception tree: one root, one line each, and the exit status of the command line."""

import inspect

import pytest

from components import errors
from components.errors import ConfigError, LongrunError, error_named, exit_code_of, require

KINDS = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, Exception)]


@pytest.mark.parametrize("kind", KINDS)
def test_every_error_is_caught_as_a_longrun_error(kind: type[Exception]) -> None:
    assert issubclass(kind, LongrunError)


CODES = {"ConfigError": 2, "HomeError": 2, "RecipeRefused": 2, "CheckFailed": 3, "RegistrationRefused": 4}
"""Exit codes of the errors that do not exit with 1."""


@pytest.mark.parametrize("kind", KINDS)
def test_an_error_exits_with_its_own_code_also_after_it_was_only_known_by_its_name(kind: type[LongrunError]) -> None:
    renewed = error_named(kind.__name__, "why")
    assert type(renewed) is kind
    assert str(renewed) == "why"
    assert exit_code_of(kind("why")) == exit_code_of(renewed) == CODES.get(kind.__name__, 1)


@pytest.mark.parametrize("name", ["ValueError", "ExitCode", "require", "no such class", ""])
def test_a_name_that_is_no_error_of_longrun_gives_none(name: str) -> None:
    assert error_named(name, "why") is None


def test_an_interruption_and_an_unknown_error_have_their_codes() -> None:
    assert exit_code_of(KeyboardInterrupt()) == 130
    assert exit_code_of(ValueError()) == 1


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

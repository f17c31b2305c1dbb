"""RegistrationConfig refuses names that no command could say."""

import pytest

from components.errors import ConfigError
from components.registration.config import RegistrationConfig


def test_the_default_takes_the_recipes_name_and_is_a_candidate():
    assert (RegistrationConfig().name, RegistrationConfig().alias) == ("", "candidate")


@pytest.mark.parametrize(
    ("field", "value"),
    [("name", "a/b"), ("name", "a@b"), ("name", "-a"), ("alias", ""), ("alias", "two words"), ("model", ""), ("licence", "")],
)
def test_a_value_that_is_not_allowed_is_refused_by_name(field, value):
    with pytest.raises(ConfigError, match=rf"RegistrationConfig\.{field}"):
        RegistrationConfig(**{field: value})

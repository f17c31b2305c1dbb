"""URLs of services: what is accepted, what is refused, and that a secret is not repeated."""

from dataclasses import dataclass

import pytest

from components.errors import ConfigError
from infra.urls import require_url


@dataclass(frozen=True)
class Service:
    """Something with a URL."""

    url: str


SCHEMES = ("https", "dns")


@pytest.mark.parametrize("url", ["https://host", "https://host:8080/path", "dns:///host", "dns://host:81"])
def test_a_plain_url_is_accepted(url: str) -> None:
    require_url(Service(url), "url", SCHEMES)


@pytest.mark.parametrize(
    "url", ["", "host", "http://host", "https://", "https:///path", "dns:///", "https://a b", "https://host/\x7f"]
)
def test_anything_else_is_refused_with_what_is_allowed(url: str) -> None:
    with pytest.raises(ConfigError, match=r"^Service\.url is .*; allowed: https://… or dns://… or home$"):
        require_url(Service(url), "url", SCHEMES, or_else=" or home")


@pytest.mark.parametrize(
    "url",
    [
        "https://me:planted@host",
        "https://planted@host",
        "https://host?token=planted",
        "https://host#planted",
        "https://host:planted",
    ],
)
def test_what_may_hold_a_secret_is_refused_without_repeating_it(url: str) -> None:
    with pytest.raises(ConfigError, match=r"Service\.url contains a user, a password, a query or an invalid host") as caught:
        require_url(Service(url), "url", SCHEMES)
    assert "planted" not in str(caught.value)

"""URLs of services: plain ones alone, without a user, a password or a query."""

from urllib.parse import urlsplit

from components.errors import ConfigError, require

HERE = "home"
"""Stands for the home where a bucket or a server could be named."""


def require_url(owner: object, name: str, schemes: tuple[str, ...], *, or_else: str = "") -> None:
    """Raise `ConfigError` unless the field `name` is a plain URL. A wrong one is not repeated: it may hold a password."""
    value = getattr(owner, name)
    try:
        url = urlsplit(value)
        secret = "@" in value or bool(url.query or url.fragment)
        good = url.scheme in schemes and bool(url.netloc or (url.scheme == "dns" and url.path.strip("/")))
        # reading the port proves that it is one
        good = good and (url.port is None or url.port > 0)
    except ValueError:
        secret, good = True, False
    if secret:
        raise ConfigError(
            f"{type(owner).__name__}.{name} holds a user, a password, a query or a wrong host; "
            "allowed: the plain URL, secrets in the environment or by reference"
        )
    allowed = " or ".join(f"{scheme}://…" for scheme in schemes) + or_else
    require(good and value.isprintable() and " " not in value, owner, name, value, allowed)

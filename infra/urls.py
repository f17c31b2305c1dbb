"""Checks URLs of services: they must not contain a user, a password, a query or a fragment."""

from urllib.parse import urlsplit

from components.errors import ConfigError, require

HERE = "home"
"""Value that means the home, in settings that may also be the URL of a bucket or server."""


def require_url(owner: object, name: str, schemes: tuple[str, ...], *, or_else: str = "") -> None:
    """Raise `ConfigError` unless the field `name` of `owner` is a plain URL. The message never shows a URL with secrets."""
    value = getattr(owner, name)
    try:
        url = urlsplit(value)
        secret = "@" in value or bool(url.query or url.fragment)
        good = url.scheme in schemes and bool(url.netloc or (url.scheme == "dns" and url.path.strip("/")))
        # reading the port raises ValueError if it is invalid
        good = good and (url.port is None or url.port > 0)
    except ValueError:
        secret, good = True, False
    if secret:
        raise ConfigError(
            f"{type(owner).__name__}.{name} contains a user, a password, a query or an invalid host; "
            "allowed: a plain URL, with secrets in the environment or by reference"
        )
    allowed = " or ".join(f"{scheme}://…" for scheme in schemes) + or_else
    require(good and value.isprintable() and " " not in value, owner, name, value, allowed)

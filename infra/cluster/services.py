"""Queries the services on a cluster over HTTP: each request has a timeout and either returns or raises a `ClusterError`."""

import functools
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from components.errors import ClusterError
from infra.cluster import client
from infra.cluster.client import Missing, Refused, innermost
from infra.cluster.profiles import Profile

if TYPE_CHECKING:
    import ssl

    import httpx

_MANIFESTS = (
    "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, "
    "application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.docker.distribution.manifest.v2+json"
)


def flyte_health(profile: Profile) -> str:
    """Check that Flyte is healthy; returns its base URL."""
    url = urlsplit(profile.endpoint)
    base = f"https://{url.path.strip('/')}" if url.scheme == "dns" else profile.endpoint.rstrip("/")
    _get(f"{base}/healthz")
    return base


def mlflow_version(profile: Profile) -> str:
    """The version of the MLflow server; empty if the server shows it only to users who are logged in."""
    base = profile.mlflow_uri.rstrip("/")
    _get(f"{base}/health")
    try:
        return _get(f"{base}/version").text.strip()
    except Refused:
        return ""


def require_image(reference: str) -> None:
    """Check that a registry has an image, without credentials.

    Raises:
        Refused: the registry requires credentials.
        Missing: the registry does not have the image.
        ClusterError: the registry does not answer.
    """
    name, _, digest = reference.partition("@")
    registry, _, repository = name.partition("/")
    scheme = "http" if registry.partition(":")[0] in {"localhost", "127.0.0.1"} else "https"
    url = f"{scheme}://{registry}/v2/{repository}/manifests/{digest}"
    headers = {"Accept": _MANIFESTS}
    answer = _ask(lambda http: http.head(url, headers=headers), url)
    if answer.status_code == 401 and (token := _anonymous_token(answer.headers.get("WWW-Authenticate", ""))):
        answer = _ask(lambda http: http.head(url, headers={**headers, "Authorization": f"Bearer {token}"}), url)
    _require_good(answer, url)


def _anonymous_token(challenge: str) -> str:
    """A token for anonymous users from the registry's token service (Docker registry token specification); empty if it gives
    none."""
    values = dict(re.findall(r'(\w+)="([^"]*)"', challenge))
    realm = values.pop("realm", "")
    if not challenge.lower().startswith("bearer") or urlsplit(realm).scheme not in {"http", "https"}:
        return ""
    answer = _ask(lambda http: http.get(realm, params=values), realm)
    if answer.status_code != 200:
        return ""
    body = answer.json()
    return str(body.get("token") or body.get("access_token") or "")


def _get(url: str) -> "httpx.Response":
    answer = _ask(lambda http: http.get(url), url)
    _require_good(answer, url)
    return answer


def _ask(call: Callable[[Any], Any], url: str) -> Any:
    import httpx

    try:
        with httpx.Client(timeout=client.SECONDS, follow_redirects=True, verify=_trust()) as http:
            return call(http)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise ClusterError(f"no answer from {url}: {innermost(error)}") from error


@functools.cache
def _trust() -> "ssl.SSLContext":
    """The trusted certificates. Cached, because reading them takes 0.1 s."""
    import httpx

    return httpx.create_ssl_context()


def _require_good(answer: Any, url: str) -> None:
    if answer.status_code >= 400:
        kind = {401: Refused, 403: Refused, 404: Missing}.get(answer.status_code, ClusterError)
        raise kind(f"{url} answered {answer.status_code} {answer.reason_phrase}")

"""Lets one command on this machine use a cluster's services, with the addresses and keys that the profile refers to.

Keys are put only into this process's environment, under the names that the services' clients read, and only within the block.
Keys that were there before are not sent to the cluster's store and are restored afterwards, so a process can use several clusters
in turn.
"""

import contextlib
import re
import socket
from collections.abc import Collection, Iterator, Mapping
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from components.errors import ClusterError, ConfigError
from infra.bucket import forget_clients
from infra.cluster.client import SECONDS, ClusterClient
from infra.cluster.profiles import Profile
from infra.cluster.store_variables import ALLOW_HTTP_VARIABLES, ENDPOINT_VARIABLES, store_variables
from infra.variables import variable, variables_as

STORE_KEYS = (
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_PROFILE",
    "AWS_ROLE_ARN",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
    "GOOGLE_APPLICATION_CREDENTIALS",
    "GOOGLE_SERVICE_ACCOUNT",
    "GOOGLE_SERVICE_ACCOUNT_PATH",
    "GOOGLE_SERVICE_ACCOUNT_KEY",
)
"""Variables from which clients of an object store take credentials."""

TRACKING_KEYS = ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD", "MLFLOW_TRACKING_TOKEN")
"""Variables from which MLflow's client takes credentials."""

STORE, TRACKING = "object_store_endpoint", "mlflow_uri"
"""Services, by the profile's field with their address."""

_KEYS = {STORE: STORE_KEYS, TRACKING: TRACKING_KEYS}

_ADDRESSES = (*ENDPOINT_VARIABLES, *ALLOW_HTTP_VARIABLES, "AWS_ENDPOINT_URL", "AWS_ENDPOINT")

_OWN_HOSTS = ("localhost", "127.0.0.1", "::1")

_SERVICE = re.compile(r"(?P<name>[a-z0-9-]+)(\.(?P<namespace>[a-z0-9-]+)(\.svc(\.cluster\.local)?)?)?\.?")
"""Host name of a Kubernetes service, such as NAME, NAME.NAMESPACE or NAME.NAMESPACE.svc.cluster.local."""


@contextlib.contextmanager
def reached(profile: Profile, services: Collection[str] = (STORE, TRACKING)) -> Iterator[Profile]:
    """Within the block, this process can use these services of a profile; yields the profile with their addresses from here.

    Raises:
        ConfigError: a variable that the profile refers to is not set, or there are no keys for a store that is not Amazon's.
        ClusterError: a Secret cannot be read, or an address cannot be reached from here; the message says what to do.
    """
    seen = profile.from_outside()
    with variables_as(_without_proxy()):
        for service in services:
            _require_reachable(service, seen, profile)
        with variables_as(_variables(seen, services)):
            forget_clients()
            try:
                yield seen
            finally:
                forget_clients()


def _variables(profile: Profile, services: Collection[str]) -> dict[str, str | None]:
    """Variables for the clients of these services. If the profile has any key for a service, all its other keys are unset."""
    values: dict[str, str | None] = {}
    for service in services:
        keys = _keys(profile, _KEYS[service])
        values |= (dict.fromkeys(_KEYS[service]) if keys else {}) | keys
    return values | (_address(profile, values) if STORE in services else {})


def _address(profile: Profile, values: Mapping[str, str | None]) -> dict[str, str | None]:
    """Variables with the store's address; `values` are the other variables that will be set."""
    endpoint, address = profile.object_store_endpoint, dict[str, str | None].fromkeys(_ADDRESSES)
    if not values.get("AWS_ACCESS_KEY_ID", variable("AWS_ACCESS_KEY_ID")) and endpoint and not _is_amazon(endpoint):
        raise ConfigError(
            f"no keys for {endpoint}: add them to the profile, such as AWS_ACCESS_KEY_ID = "
            '"kubernetes:SECRET/KEY" below [secrets], or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY'
        )
    return {**address, **store_variables(profile).plain}


def _without_proxy() -> dict[str, str | None]:
    """NO_PROXY with this machine's own addresses, so that no proxy is used for port-forwards."""
    known = variable("NO_PROXY") or variable("no_proxy") or ""
    spared = ",".join(filter(None, [known, *_OWN_HOSTS]))
    return {"NO_PROXY": spared, "no_proxy": spared}


def _keys(profile: Profile, wanted: Collection[str]) -> dict[str, str]:
    """Values of the wanted keys, for those that the profile refers to."""
    keys = {}
    for name, source in profile.own_secrets.items():
        if name in wanted:
            value = variable(source)
            if not value:
                raise ConfigError(f"environment variable {source}, from which the profile takes {name}, is not set")
            keys[name] = value
    references = {**store_variables(profile).secret, **profile.pod_secrets}
    return keys | _from_cluster(profile, {name: where for name, where in references.items() if name in wanted})


def _from_cluster(profile: Profile, references: Mapping[str, tuple[str, str]]) -> dict[str, str]:
    """Keys from Secrets of the cluster; if a Secret cannot be read, from this machine's variables of the same names."""
    cluster, keys = ClusterClient(profile), dict[str, str]()
    read = {secret: _read(cluster, secret) for secret in sorted({secret for secret, _ in references.values()})}
    for name, (secret, key) in references.items():
        held, refusal = read[secret]
        value = held.get(key) or variable(name)
        if not value:
            raise ClusterError(
                f"{name} cannot be read from Secret {secret} in namespace {profile.namespace}, which the profile refers to "
                f"({refusal or f'it has no key {key}'}); get the right to read that Secret, or set environment variable {name}"
            )
        keys[name] = value
    return keys


def _read(cluster: ClusterClient, secret: str) -> tuple[Mapping[str, str], str]:
    """The values of a Secret and an empty string, or no values and the reason why it cannot be read."""
    try:
        return cluster.secret(secret), ""
    except ClusterError as error:
        return {}, str(error)


def _is_amazon(endpoint: str) -> bool:
    return (urlsplit(endpoint).hostname or "").endswith((".amazonaws.com", ".amazonaws.com.cn"))


def _require_reachable(field: str, seen: Profile, profile: Profile) -> None:
    """Raise `ClusterError` unless a connection to an address can be opened. Not checked if a proxy is used."""
    url = urlsplit(getattr(seen, field))
    if not url.hostname or (url.scheme in getproxies() and not proxy_bypass(url.hostname)):
        return
    port = url.port or (443 if url.scheme == "https" else 80)
    try:
        socket.create_connection((url.hostname, port), timeout=SECONDS).close()
    except OSError as error:
        reason = error.strerror or str(error) or "no answer"
        remedy = _remedy(field, profile)
        raise ClusterError(f"{field} {url.geturl()} cannot be reached from this machine ({reason}); {remedy}") from error


def _remedy(field: str, profile: Profile) -> str:
    """What to do if an address cannot be reached, such as the command that forwards its port."""
    inside = urlsplit(getattr(profile, field))
    service = _SERVICE.fullmatch(inside.hostname or "")
    if not service or inside.hostname in _OWN_HOSTS:
        return f"check that the service runs, and the profile's {field}"
    port = inside.port or (443 if inside.scheme == "https" else 80)
    named = urlsplit(profile.outside.get(field, "")).port
    local = named or (port if port > 1023 else 10_000 + port)
    context = f"--context {profile.context} " if profile.context else ""
    forward = (
        f"kubectl {context}--namespace {service['namespace'] or profile.namespace} port-forward "
        f"service/{service['name']} {local}:{port}"
    )
    if field in profile.outside:
        return f"check that this is running: {forward}"
    there = f"{inside.scheme}://127.0.0.1:{local}"
    return f"run: {forward}; then once: longrun profile change {profile.name or 'NAME'} --set outside.{field}={there}"

"""Profiles: where a cluster is and what its tasks run in, one small TOML file each, below the home.

No secret is ever in a profile, only where it is kept: in a Kubernetes Secret or in an environment variable.
"""

import dataclasses
import json
import re
import tomllib
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from components.errors import ConfigError, require
from components.files import JSON, write_text
from infra.cluster.sizes import PODS, SIZES, Size, size_of
from infra.urls import require_url

GPU_KINDS = ("A100", "H100", "H200")
"""Kinds that pod templates know a node label for."""

IMAGE_GROUPS = ("core", "train", "evaluate")
"""Images that a cluster needs, named REGISTRY/GROUP: core is for the chart's retention job, the others for tasks."""

OTHER_IMAGES = ("data", "vllm", "tracking")
"""Images that `make images` builds besides: a profile may name their digests, of which the chart takes that of tracking."""

OUTSIDE = {"object_store_endpoint", "mlflow_uri"}
"""Values that may be others outside the cluster."""

_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
"""RFC 1123 label: what Kubernetes and Flyte take as names."""

_MAX_RELEASE = 53
"""helm's own limit for a release's name."""

_RESERVED = re.compile(
    r"LONGRUN_PROFILE|RAY_.*|KUBERAY_.*|FQ_RAY_IP|MY_POD_(IP|NAME)|TYPE|(CPU|MEMORY)_(REQUESTS?|LIMITS)|ACTION_NAME|RUN_NAME"
    r"|_[FU]_.*|FLYTE_(INTERNAL_.*|ATTEMPT_NUMBER|EXECUTION_URL)"
)
"""Variables that longrun, Flyte (flyteorg/flyte v2.0.43: executor/pkg/plugin/task_exec_metadata.go and flyteplugins) and KubeRay
(v1.7.0: common/pod.go) put into pods: a second entry of the name would make a RayJob invalid."""

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_REGISTRY = re.compile(r"[a-z0-9.-]+(:\d+)?(/[a-z0-9._-]+)*")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SECRET = re.compile(
    r"kubernetes:(?P<name>[a-z0-9][a-z0-9.-]*)/(?P<key>[A-Za-z0-9._-]+)|environment:(?P<variable>[A-Za-z_][A-Za-z0-9_]*)"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Profile:
    """One cluster as a user sees it."""

    name: str = field(default="", compare=False)
    """That of the file it was read from, which does not repeat it; empty: it was not read from a file."""
    endpoint: str
    """Flyte's API: http:// or https:// and host, or dns:///host."""
    project: str
    """Flyte's project."""
    domain: str = "development"
    """Flyte's domain; flyte-binary has development, staging and production."""
    namespace: str = "longrun"
    """Kubernetes namespace of the tasks and of the chart."""
    release: str = "longrun"
    """Helm release of charts/longrun: the names of service accounts and priority classes start with it."""
    context: str = ""
    """Context of the kubeconfig; empty: the current one, or the pod's own service account."""
    image_registry: str
    """Where the images are, such as ghcr.io/example/longrun; the group's name is appended."""
    image_digests: dict[str, str]
    """Digest of each group's image, as sha256:…: a tag may move, a digest cannot."""
    artifact_root: str
    """Where artifacts go: s3://bucket/prefix or gs://bucket/prefix."""
    object_store_endpoint: str = ""
    """URL of an S3 API other than Amazon's; empty otherwise."""
    object_store_region: str = ""
    """Region of an S3 API; empty: us-east-1 where the endpoint is not Amazon's, else what the cloud tells its pods."""
    mlflow_uri: str
    """MLflow's tracking and registry server, http:// or https://."""
    gpus: tuple[str, ...] = ()
    """GPU kinds that training may run on, in order of preference; empty: training runs on CPUs."""
    gpus_per_worker: int = 8
    """GPUs of one training worker's pod: a whole node's, so that its workers talk over NVLink."""
    workers: int = 0
    """Pods of a Ray cluster beside its head, for data and for training; 0: it is one pod, and the head works."""
    checkpoint_claim: str = ""
    """PersistentVolumeClaim (ReadWriteMany) that the pods of Ray clusters share, for checkpoints and what they read and write.

    Needed where there are workers: files go between them and the head. Empty: a Ray cluster is one pod with files of its own.
    """
    size: str = ""
    """What pods ask for: trial (a node of 2 cores and 8 GiB), default (of 8 cores and 32 GiB), gpu (where `gpus` names kinds).

    Empty: gpu where `gpus` names kinds, else default.
    """
    sizes: dict[str, dict[str, str]] = field(default_factory=dict)
    """What differs from `size`, by kind of pod: fields of `infra.cluster.sizes.Size`."""
    source_claim: str = ""
    """PersistentVolumeClaim with the files that recipes name as sources, below /sources in pods that read them; empty: none."""
    secrets: dict[str, str] = field(default_factory=dict)
    """Environment variable of tasks -> kubernetes:SECRET/KEY, or environment:VARIABLE for commands on this machine alone."""

    outside: dict[str, str] = field(default_factory=dict)
    """Addresses from outside the cluster, such as of a port-forward, for commands on this machine that read with `--profile`:
    object_store_endpoint and mlflow_uri. Those above are what pods see, and hold here too where none is named."""

    def __post_init__(self) -> None:
        require_url(self, "endpoint", ("http", "https", "dns"))
        require_url(self, "mlflow_uri", ("http", "https"))
        require_url(self, "artifact_root", ("s3", "gs"))
        if self.object_store_endpoint:
            require_url(self, "object_store_endpoint", ("http", "https"))
        for name in ("project", "domain", "namespace", "release"):
            value, max_length = getattr(self, name), _MAX_RELEASE if name == "release" else 63
            allowed = f"lower-case letters, digits and '-', {max_length} at most"
            require(bool(_LABEL.fullmatch(value)) and len(value) <= max_length, self, name, value, allowed)
        region = self.object_store_region
        require(
            not region or bool(_LABEL.fullmatch(region)), self, "object_store_region", region, "such as eu-central-1, or nothing"
        )
        _require_images(self)
        unknown = sorted(set(self.gpus) - set(GPU_KINDS))
        require(not unknown and len(set(self.gpus)) == len(self.gpus), self, "gpus", list(self.gpus), f"each of {GPU_KINDS} once")
        for name, minimum, maximum in (("gpus_per_worker", 1, 16), ("workers", 0, 4096)):
            value = getattr(self, name)
            require(type(value) is int and minimum <= value <= maximum, self, name, value, f"{minimum} to {maximum}")
        require(self.context.isprintable(), self, "context", self.context, "the name of a context, or nothing")
        for name in ("checkpoint_claim", "source_claim"):
            claim = getattr(self, name)
            require(not claim or bool(_LABEL.fullmatch(claim)), self, name, claim, "the name of a claim, or nothing")
        _require_sizes(self)
        _require_references(self)
        known = sorted(OUTSIDE)
        require(set(self.outside) <= OUTSIDE, self, "outside", sorted(self.outside), f"only {', '.join(known)}")
        if self.outside:
            self.from_outside()

    def from_outside(self) -> "Profile":
        """The same cluster with the addresses of its store and of MLflow that this machine uses."""
        return dataclasses.replace(self, **self.outside, outside={})  # type: ignore[arg-type]

    def image(self, group: str) -> str:
        """Reference of the image of a dependency group, by digest."""
        return f"{self.image_registry}/{group}@{self.image_digests[group]}"

    def size_of(self, pod: str) -> Size:
        """What a pod of a kind of `infra.cluster.sizes.PODS` asks for."""
        return size_of(self.named_size, pod, self.sizes, self.gpus_per_worker)

    @property
    def named_size(self) -> str:
        """The size that `size` names, or leaves to the GPUs."""
        return self.size or ("gpu" if self.gpus else "default")

    @property
    def pod_secrets(self) -> dict[str, tuple[str, str]]:
        """Environment variable -> name and key of the Kubernetes Secret, for those that pods may have."""
        matches = self._matches().items()
        return {name: (match["name"], match["key"]) for name, match in matches if match["name"]}

    @property
    def own_secrets(self) -> dict[str, str]:
        """Environment variable -> variable of this machine's environment that holds it."""
        return {name: match["variable"] for name, match in self._matches().items() if match["variable"]}

    def _matches(self) -> dict[str, re.Match[str]]:
        return {name: match for name, reference in self.secrets.items() if (match := _SECRET.fullmatch(reference))}


def _require_images(profile: Profile) -> None:
    registry, digests = profile.image_registry, profile.image_digests
    allowed = "host and path, such as ghcr.io/example/longrun, without scheme, tag or digest"
    require(bool(_REGISTRY.fullmatch(registry)), profile, "image_registry", registry, allowed)
    needed, known = ", ".join(IMAGE_GROUPS), {*IMAGE_GROUPS, *OTHER_IMAGES}
    whole = set(IMAGE_GROUPS) <= set(digests) <= known
    require(whole, profile, "image_digests", sorted(digests), f"{needed}, besides {', '.join(OTHER_IMAGES)}")
    for group, digest in digests.items():
        require(bool(_DIGEST.fullmatch(digest)), profile, f"image_digests.{group}", digest, "sha256: and 64 hexadecimal digits")


def _require_sizes(profile: Profile) -> None:
    """Refuse sizes that are none, and workers that could not hand files to their head."""
    require(profile.named_size in SIZES, profile, "size", profile.size, ", ".join(SIZES))
    fits = "gpu, since gpus names kinds" if profile.gpus else "trial or default, since gpus is empty"
    require((profile.named_size == "gpu") == bool(profile.gpus), profile, "size", profile.size, fits)
    unknown = sorted(set(profile.sizes) - set(PODS))
    require(not unknown, profile, "sizes", unknown[:1], ", ".join(PODS))
    for pod in PODS:
        profile.size_of(pod)
    alone = "0, or a checkpoint_claim (ReadWriteMany) beside it: files go between the head of a Ray cluster and its workers"
    require(not profile.workers or bool(profile.checkpoint_claim), profile, "workers", profile.workers, alone)


def _require_references(profile: Profile) -> None:
    """What is no reference may be the secret itself, so no message repeats it."""
    for name, reference in profile.secrets.items():
        require(bool(_VARIABLE.fullmatch(name)), profile, "secrets", name, "names of environment variables")
        set_by_others = "names that longrun, Flyte, Ray and KubeRay do not set in pods themselves"
        require(not _RESERVED.fullmatch(name), profile, "secrets", name, set_by_others)
        if not _SECRET.fullmatch(reference):
            raise ConfigError(
                f"Profile.secrets.{name} is no reference (not shown); allowed: kubernetes:SECRET/KEY or environment:VARIABLE"
            )


def profile_path(home: Path, name: str) -> Path:
    """Where the profile `name` is kept. Raises `ConfigError` for a name that is none."""
    if not _LABEL.fullmatch(name):
        raise ConfigError(f"profile name {name!r}: allowed are lower-case letters, digits and '-', 63 at most")
    return home / "profiles" / f"{name}.toml"


def profile_names(home: Path) -> list[str]:
    """Names of the profiles of a home, sorted."""
    return sorted(path.stem for path in (home / "profiles").glob("*.toml"))


def read_profile(home: Path, name: str = "") -> Profile:
    """The profile `name`; with no name, the only one there is.

    Raises:
        ConfigError: there is none, more than one and no name, or its file is not as it should be.
    """
    known = profile_names(home)
    if not name and len(known) != 1:
        which = f"choose one with --profile: {', '.join(known)}" if known else "make one with: longrun profile create"
        raise ConfigError(f"{home / 'profiles'} holds {len(known)} profiles; {which}")
    name = name or known[0]
    path = profile_path(home, name)
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise ConfigError(f"no profile {name!r} in {path.parent}; there are: {', '.join(known) or 'none'}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from error
    return dataclasses.replace(parse_profile(text, str(path)), name=name)


def parse_profile(text: str, where: str) -> Profile:
    """A profile from TOML; `where` names it in errors. Raises `ConfigError`, also for what `make_profile` refuses."""
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{where}: not TOML: {error}") from error
    return make_profile(raw, where)


def make_profile(raw: Mapping[str, Any], where: str) -> Profile:
    """A profile from TOML's values. Raises `ConfigError` for unknown, missing or mistyped keys."""
    fields = {field.name: field for field in dataclasses.fields(Profile) if field.name != "name"}
    if unknown := sorted(set(raw) - set(fields)):
        raise ConfigError(f"{where}: unknown key {unknown[0]!r}; allowed: {', '.join(fields)}")
    needed = [name for name, field in fields.items() if field.default is field.default_factory is dataclasses.MISSING]
    if missing := [name for name in needed if name not in raw]:
        raise ConfigError(f"{where}: {', '.join(missing)} missing; a profile needs: {', '.join(needed)}")
    hints = typing.get_type_hints(Profile)
    try:
        return Profile(**{name: _typed(hints[name], value, name) for name, value in raw.items()})
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from error


def _typed(hint: Any, value: Any, name: str) -> Any:
    """`value` if it has the type; what is wrong is named and not shown."""
    if hint in (str, int) and type(value) is hint:
        return value
    kind = typing.get_origin(hint)
    if kind is tuple and isinstance(value, list) and all(isinstance(item, str) for item in value):
        return tuple(value)
    if hint == dict[str, str] and isinstance(value, dict) and all(isinstance(item, str) for item in value.values()):
        return value
    if hint == dict[str, dict[str, str]] and isinstance(value, dict):
        return {key: _typed(dict[str, str], table, f"{name}.{key}") for key, table in value.items()}
    words = {str: "a string", int: "an integer", tuple: "an array of strings", dict: "a table of strings"}
    allowed = words[kind or hint]
    raise ConfigError(f"{name} is of type {type(value).__name__}; allowed: {allowed}")


def write_profile(home: Path, name: str, profile: Profile, *, replace: bool = False) -> Path:
    """Keep a profile below the home; its path. Raises `ConfigError` where there is one already, unless `replace`."""
    path = profile_path(home, name)
    if path.exists() and not replace:
        raise ConfigError(f"profile {name!r} exists: {path}; --replace overwrites it")
    path.parent.mkdir(parents=True, exist_ok=True)
    return write_text(path, to_toml(profile))


def values_of(profile: Profile) -> dict[str, JSON]:
    """Keys and values of the profile's file."""
    return {field.name: getattr(profile, field.name) for field in dataclasses.fields(profile) if field.name != "name"}


def to_toml(profile: Profile) -> str:
    """The profile as TOML: plain keys first, then tables. A JSON string or array of strings is TOML too."""
    values = values_of(profile)
    tables = {name: value for name, value in values.items() if isinstance(value, dict)}
    lines = [f"{name} = {json.dumps(value, ensure_ascii=False)}" for name, value in values.items() if name not in tables]
    for name, table in tables.items():
        flat = {key: value for key, value in table.items() if not isinstance(value, dict)}
        lines += ["", f"[{name}]", *(f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in flat.items())]
        for key, inner in table.items():
            if isinstance(inner, dict):
                lines += ["", f"[{name}.{key}]", *(f"{field} = {json.dumps(text)}" for field, text in inner.items())]
    return "\n".join(lines) + "\n"

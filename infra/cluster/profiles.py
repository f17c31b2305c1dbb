"""Reads and writes profiles: a cluster's addresses and the images and resources of its tasks, one TOML file each in the home.

A profile never contains a secret, only a reference to a Kubernetes Secret or an environment variable.
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
"""GPU kinds whose node labels are known (`infra.cluster.pods.NODE_LABELS`)."""

IMAGE_GROUPS = ("core", "train", "evaluate")
"""Images that a cluster needs, named REGISTRY/GROUP: core for the chart's retention job, the others for tasks."""

OTHER_IMAGES = ("data", "vllm", "tracking")
"""Further images that `make images` can build. A profile may contain their digests; the chart uses that of tracking."""

OUTSIDE = {"object_store_endpoint", "mlflow_uri"}
"""Fields whose values may differ outside the cluster."""

_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
"""RFC 1123 label: the form of names in Kubernetes and Flyte."""

_MAX_RELEASE = 53
"""helm's limit on the length of a release's name."""

_RESERVED = re.compile(
    r"LONGRUN_PROFILE|RAY_.*|KUBERAY_.*|FQ_RAY_IP|MY_POD_(IP|NAME)|TYPE|(CPU|MEMORY)_(REQUESTS?|LIMITS)|ACTION_NAME|RUN_NAME"
    r"|_[FU]_.*|FLYTE_(INTERNAL_.*|ATTEMPT_NUMBER|EXECUTION_URL)"
)
"""Variables that longrun, Flyte (flyteorg/flyte v2.0.43: executor/pkg/plugin/task_exec_metadata.go and flyteplugins) and KubeRay
(v1.7.0: common/pod.go) set in pods. A second entry with the same name would make a RayJob invalid."""

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_REGISTRY = re.compile(r"[a-z0-9.-]+(:\d+)?(/[a-z0-9._-]+)*")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_SECRET = re.compile(
    r"kubernetes:(?P<name>[a-z0-9][a-z0-9.-]*)/(?P<key>[A-Za-z0-9._-]+)|environment:(?P<variable>[A-Za-z_][A-Za-z0-9_]*)"
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Profile:
    """How to reach one cluster, and what its tasks run in."""

    name: str = field(default="", compare=False)
    """Name of the profile's file without suffix; the file does not contain it. Empty: not read from a file."""
    endpoint: str
    """URL of Flyte's API: http://HOST, https://HOST or dns:///HOST."""
    project: str
    """Project in Flyte that the runs belong to."""
    domain: str = "development"
    """Domain in Flyte; flyte-binary has development, staging and production."""
    namespace: str = "longrun"
    """Kubernetes namespace of the tasks and of the chart."""
    release: str = "longrun"
    """Helm release of charts/longrun; names of its service accounts and priority classes start with it."""
    context: str = ""
    """Context of the kubeconfig; empty: the current context, or in a pod its service account."""
    image_registry: str
    """Registry and path of the images, such as ghcr.io/example/longrun; each image's name is appended."""
    image_digests: dict[str, str]
    """Image name -> digest as sha256:…, which unlike a tag always means the same image."""
    artifact_root: str
    """Where artifacts are stored: s3://bucket/prefix or gs://bucket/prefix."""
    object_store_endpoint: str = ""
    """URL of an S3 API other than Amazon's; empty: Amazon S3 or Google Cloud Storage."""
    object_store_region: str = ""
    """Region of the S3 API; empty: us-east-1 if `object_store_endpoint` is set, else the region that the cloud gives to pods."""
    mlflow_uri: str
    """URL of MLflow's tracking and registry server: http:// or https://."""
    gpus: tuple[str, ...] = ()
    """GPU kinds that training may run on (A100, H100, H200), in order of preference; empty: training runs on CPUs."""
    gpus_per_worker: int = 8
    """GPUs per pod of training workers: all of a node, so that its workers communicate over NVLink."""
    workers: int = 0
    """Worker pods of each Ray cluster, for curation and for training; 0: the head is the only pod and does the work."""
    checkpoint_claim: str = ""
    """PersistentVolumeClaim (ReadWriteMany) that all pods of a Ray cluster mount, for checkpoints and shared files.

    Required if `workers` is more than 0. Empty: a Ray cluster is a single pod with its own file system.
    """
    size: str = ""
    """Resources of pods: trial (fits a node of 2 cores and 8 GiB), default (8 cores and 32 GiB), or gpu (only with `gpus`).

    Empty: gpu if `gpus` is set, else default.
    """
    sizes: dict[str, dict[str, str]] = field(default_factory=dict)
    """Kind of pod -> fields of `infra.cluster.sizes.Size` that differ from `size`."""
    source_claim: str = ""
    """PersistentVolumeClaim with source files of recipes, mounted at /sources in the pods that read them; empty: none."""
    grace_seconds: int = 30
    """Seconds between the notice that a pod is to be stopped and its kill (Kubernetes: terminationGracePeriodSeconds). A training
    saves a checkpoint in this time; more than about ten seconds of it are for the end of the process and its logs."""
    secrets: dict[str, str] = field(default_factory=dict)
    """Environment variable of tasks -> kubernetes:SECRET/KEY, or environment:VARIABLE, which only commands on this machine
    use."""

    outside: dict[str, str] = field(default_factory=dict)
    """Addresses that commands with `--profile` on this machine use instead of those above, such as of a port-forward:
    object_store_endpoint and mlflow_uri. Empty: the same addresses as in the cluster."""

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
            not region or bool(_LABEL.fullmatch(region)), self, "object_store_region", region, "such as eu-central-1, or empty"
        )
        _require_images(self)
        unknown = sorted(set(self.gpus) - set(GPU_KINDS))
        require(not unknown and len(set(self.gpus)) == len(self.gpus), self, "gpus", list(self.gpus), f"each of {GPU_KINDS} once")
        for name, minimum, maximum in (("gpus_per_worker", 1, 16), ("workers", 0, 4096), ("grace_seconds", 15, 3600)):
            value = getattr(self, name)
            require(type(value) is int and minimum <= value <= maximum, self, name, value, f"{minimum} to {maximum}")
        require(self.context.isprintable(), self, "context", self.context, "the name of a context, or empty")
        for name in ("checkpoint_claim", "source_claim"):
            claim = getattr(self, name)
            require(not claim or bool(_LABEL.fullmatch(claim)), self, name, claim, "the name of a claim, or empty")
        _require_sizes(self)
        _require_references(self)
        known = sorted(OUTSIDE)
        require(set(self.outside) <= OUTSIDE, self, "outside", sorted(self.outside), f"only {', '.join(known)}")
        if self.outside:
            self.from_outside()

    def from_outside(self) -> "Profile":
        """The profile with the addresses in `outside` in place of those that pods use."""
        return dataclasses.replace(self, **self.outside, outside={})  # type: ignore[arg-type]

    def image(self, group: str) -> str:
        """Reference, by digest, of the image named `group`."""
        return f"{self.image_registry}/{group}@{self.image_digests[group]}"

    def size_of(self, pod: str) -> Size:
        """Size of a kind of pod (one of `infra.cluster.sizes.PODS`)."""
        return size_of(self.named_size, pod, self.sizes, self.gpus_per_worker)

    @property
    def named_size(self) -> str:
        """`size`, or its default: gpu if `gpus` is set, else default."""
        return self.size or ("gpu" if self.gpus else "default")

    @property
    def pod_secrets(self) -> dict[str, tuple[str, str]]:
        """Environment variable -> name and key of its Kubernetes Secret, for all secrets that pods get."""
        matches = self._matches().items()
        return {name: (match["name"], match["key"]) for name, match in matches if match["name"]}

    @property
    def own_secrets(self) -> dict[str, str]:
        """Environment variable -> variable of this machine's environment that holds its value."""
        return {name: match["variable"] for name, match in self._matches().items() if match["variable"]}

    def _matches(self) -> dict[str, re.Match[str]]:
        return {name: match for name, reference in self.secrets.items() if (match := _SECRET.fullmatch(reference))}


def _require_images(profile: Profile) -> None:
    registry, digests = profile.image_registry, profile.image_digests
    allowed = "host and path, such as ghcr.io/example/longrun, without scheme, tag or digest"
    require(bool(_REGISTRY.fullmatch(registry)), profile, "image_registry", registry, allowed)
    needed, known = ", ".join(IMAGE_GROUPS), {*IMAGE_GROUPS, *OTHER_IMAGES}
    whole = set(IMAGE_GROUPS) <= set(digests) <= known
    require(whole, profile, "image_digests", sorted(digests), f"{needed}, and optionally {', '.join(OTHER_IMAGES)}")
    for group, digest in digests.items():
        require(bool(_DIGEST.fullmatch(digest)), profile, f"image_digests.{group}", digest, "sha256: and 64 hexadecimal digits")


def _require_sizes(profile: Profile) -> None:
    """Refuse unknown or invalid sizes, and workers that would share no volume with their head."""
    require(profile.named_size in SIZES, profile, "size", profile.size, ", ".join(SIZES))
    fits = "gpu, because gpus is set" if profile.gpus else "trial or default, because gpus is empty"
    require((profile.named_size == "gpu") == bool(profile.gpus), profile, "size", profile.size, fits)
    unknown = sorted(set(profile.sizes) - set(PODS))
    require(not unknown, profile, "sizes", unknown[:1], ", ".join(PODS))
    for pod in PODS:
        profile.size_of(pod)
    alone = "0, or also set checkpoint_claim (ReadWriteMany): workers and head share files"
    require(not profile.workers or bool(profile.checkpoint_claim), profile, "workers", profile.workers, alone)


def _require_references(profile: Profile) -> None:
    """Refuse invalid secret references. No message shows the value: it may be the secret itself."""
    for name, reference in profile.secrets.items():
        require(bool(_VARIABLE.fullmatch(name)), profile, "secrets", name, "names of environment variables")
        set_by_others = "names that longrun, Flyte, Ray and KubeRay do not set themselves in pods"
        require(not _RESERVED.fullmatch(name), profile, "secrets", name, set_by_others)
        if not _SECRET.fullmatch(reference):
            raise ConfigError(
                f"Profile.secrets.{name} is no reference (not shown); allowed: kubernetes:SECRET/KEY or environment:VARIABLE"
            )


def profile_path(home: Path, name: str) -> Path:
    """Path of the profile `name`. Raises `ConfigError` for an invalid name."""
    if not _LABEL.fullmatch(name):
        raise ConfigError(f"profile name {name!r} is invalid; allowed: lower-case letters, digits and '-', at most 63")
    return home / "profiles" / f"{name}.toml"


def profile_names(home: Path) -> list[str]:
    """Names of the profiles in a home, sorted."""
    return sorted(path.stem for path in (home / "profiles").glob("*.toml"))


def read_profile(home: Path, name: str = "") -> Profile:
    """Read the profile `name`; without a name, the home's only profile.

    Raises:
        ConfigError: there is no such profile, the name is missing and there are several, or the file is invalid.
    """
    known = profile_names(home)
    if not name and len(known) != 1:
        which = f"choose one with --profile: {', '.join(known)}" if known else "create one with: longrun profile create"
        raise ConfigError(f"{home / 'profiles'} holds {len(known)} profiles; {which}")
    name = name or known[0]
    path = profile_path(home, name)
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise ConfigError(f"no profile {name!r} in {path.parent}; existing profiles: {', '.join(known) or 'none'}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read: {error}") from error
    return dataclasses.replace(parse_profile(text, str(path)), name=name)


def parse_profile(text: str, where: str) -> Profile:
    """Parse a profile from TOML; `where` names the file in errors. Raises `ConfigError` for an invalid profile."""
    try:
        raw = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{where}: invalid TOML: {error}") from error
    return make_profile(raw, where)


def make_profile(raw: Mapping[str, Any], where: str) -> Profile:
    """Make a profile from parsed TOML. Raises `ConfigError` for unknown, missing or mistyped keys."""
    fields = {field.name: field for field in dataclasses.fields(Profile) if field.name != "name"}
    if unknown := sorted(set(raw) - set(fields)):
        raise ConfigError(f"{where}: unknown key {unknown[0]!r}; allowed: {', '.join(fields)}")
    needed = [name for name, field in fields.items() if field.default is field.default_factory is dataclasses.MISSING]
    if missing := [name for name in needed if name not in raw]:
        raise ConfigError(f"{where}: missing keys: {', '.join(missing)}; required: {', '.join(needed)}")
    hints = typing.get_type_hints(Profile)
    try:
        return Profile(**{name: _typed(hints[name], value, name) for name, value in raw.items()})
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from error


def _typed(hint: Any, value: Any, name: str) -> Any:
    """`value` with the type `hint`. Raises `ConfigError` for another type; the message does not show the value."""
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
    """Write a profile to the home and return its path. Raises `ConfigError` if it exists and `replace` is false."""
    path = profile_path(home, name)
    if path.exists() and not replace:
        raise ConfigError(f"profile {name!r} exists already: {path}; use --replace to overwrite it")
    path.parent.mkdir(parents=True, exist_ok=True)
    return write_text(path, to_toml(profile))


def values_of(profile: Profile) -> dict[str, JSON]:
    """Keys and values of a profile's file."""
    return {field.name: getattr(profile, field.name) for field in dataclasses.fields(profile) if field.name != "name"}


def to_toml(profile: Profile) -> str:
    """The profile as TOML: plain keys first, then tables. JSON strings and arrays of strings are valid TOML."""
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

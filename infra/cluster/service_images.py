"""Lists every image of the three charts, and rewrites their references for a mirror or for a registry in an air-gapped network.

The keys of the Helm values were taken from the charts' templates: kuberay-operator v1.7.0, flyte-binary v2.0.43 and its subchart.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

from components.errors import ConfigError
from infra.bundle import PROJECT_ROOT

CHARTS = PROJECT_ROOT / "charts"

_REFERENCE = re.compile(
    r"(?P<repository>[a-z0-9][a-z0-9.-]*(:\d+)?(/[a-z0-9][a-z0-9._-]*)+)(:(?P<tag>[A-Za-z0-9_][A-Za-z0-9_.-]*))?(@(?P<digest>sha256:[0-9a-f]{64}))?"
)
_HOST = re.compile(r"^(localhost|[^/]*[.:][^/]*)/")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_REGISTRY = re.compile(r"[a-z0-9][a-z0-9.-]*(:\d+)?(/[a-z0-9][a-z0-9._-]*)*")


@dataclass(frozen=True, slots=True)
class Reference:
    """An image reference: repository with a tag, a digest or both."""

    repository: str
    tag: str = ""
    digest: str = ""

    @classmethod
    def parse(cls, text: str, where: str) -> Self:
        """Parse a reference. Raises `ConfigError` for an invalid one; `where` names it in the message."""
        match = _REFERENCE.fullmatch(text)
        if match is None or not (match["tag"] or match["digest"]):
            raise ConfigError(
                f"{where}: {text!r} is not an image reference with a tag or digest; "
                "allowed: HOST/NAME:TAG, HOST/NAME@sha256:…, or only sha256:…"
            )
        return cls(match["repository"], match["tag"] or "", match["digest"] or "")

    def with_registry(self, registry: str) -> "Reference":
        """The same image in another registry: replaces the host and keeps the path, as `images.registry` of our chart does."""
        if self.repository.startswith(f"{registry}/"):
            return self
        return replace(self, repository=f"{registry}/{_HOST.sub('', self.repository)}")

    def __str__(self) -> str:
        tag, digest = (f":{self.tag}" if self.tag else ""), (f"@{self.digest}" if self.digest else "")
        return f"{self.repository}{tag}{digest}"


@dataclass(frozen=True, slots=True)
class ServiceImage:
    """One image of one of the three releases."""

    release: str
    """Release that uses the image: kuberay, longrun or flyte."""
    keys: tuple[str, ...]
    """Keys of the Helm values under which the chart expects `repository` and `tag` of this image."""


IMAGES = {
    "kuberay": ServiceImage("kuberay", ("image",)),
    # the same image is used for the service and for the co-pilot of raw-container tasks
    "flyte": ServiceImage("flyte", ("deployment.image", "configuration.co-pilot.image")),
    "console": ServiceImage("flyte", ("console.image",)),
    "wait-for-db": ServiceImage("flyte", ("deployment.waitForDB.image",)),
    "connector": ServiceImage("flyte", ("flyteconnector.image",)),
    **{name: ServiceImage("longrun", (f"images.{name}",)) for name in ("core", "tracking", "postgres", "store")},
}
"""Every image of the three charts, keyed by the name that the file of `--images` uses."""

_VALUES = {"kuberay": "values/kuberay.yaml", "flyte": "values/flyte.yaml", "longrun": "longrun/values.yaml"}


def references(
    longrun_images: Mapping[str, Reference], registry: str = "", overrides: Mapping[str, str] | None = None
) -> dict[str, Reference]:
    """Map image names to the references that replace the charts' defaults: those in `longrun_images` or `overrides`.

    If `registry` is set, every image is included.

    An override is a reference or only a digest. Raises `ConfigError` for an invalid override or an unknown name.
    """
    overrides = overrides or {}
    if registry and not _REGISTRY.fullmatch(registry):
        raise ConfigError(f"--registry {registry!r}: allowed: host and path without a scheme, such as mirror.example.com/longrun")
    if unknown := sorted(set(overrides) - set(IMAGES)):
        raise ConfigError(f"--images: unknown image {unknown[0]!r}; allowed: {', '.join(IMAGES)}")
    chosen = {}
    for name in IMAGES:
        if not registry and name not in longrun_images and name not in overrides:
            continue
        text, base = overrides.get(name, ""), longrun_images.get(name) or default_reference(name)
        base = base.with_registry(registry) if registry else base
        if _DIGEST.fullmatch(text):
            chosen[name] = replace(base, digest=text)
        else:
            chosen[name] = Reference.parse(text, f"image {name}") if text else base
    return chosen


def read_overrides(path: Path) -> dict[str, str]:
    """Read a YAML file of `NAME: REFERENCE` lines. Raises `ConfigError` if it cannot be read or has another form."""
    import yaml

    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise ConfigError(f"--images {path}: {' '.join(str(error).split())}") from error
    if not isinstance(raw, dict) or not all(isinstance(text, str) for text in raw.values()):
        raise ConfigError(f"--images {path}: allowed: lines NAME: REFERENCE, such as postgres: mirror.example.com/postgres:17.10")
    return raw


def settings(release: str, chosen: Mapping[str, Reference]) -> tuple[str, ...]:
    """KEY=TEXT settings that make a release's chart use the chosen references."""
    lines = []
    for name, image in IMAGES.items():
        if image.release == release and name in chosen:
            lines += [line for key in image.keys for line in _setting(key, chosen[name], digests=release == "longrun")]
    return tuple(lines)


def _setting(key: str, reference: Reference, *, digests: bool) -> list[str]:
    """Settings for one image. Only our chart has a key for digests; in the others the digest is appended to the tag."""
    if digests:
        values = {"repository": reference.repository, "tag": reference.tag, "digest": reference.digest}
    else:
        digest = f"@{reference.digest}" if reference.digest else ""
        # such a chart requires a tag even with a digest; the digest takes precedence
        values = {"repository": reference.repository, "tag": f"{reference.tag or 'pinned'}{digest}"}
    return [f"{key}.{name}={text}" for name, text in values.items()]


def default_reference(name: str) -> Reference:
    """The default reference of an image, as in the values files under `charts/`."""
    image = IMAGES[name]
    values = _yaml(_VALUES[image.release])
    for key in image.keys[0].split("."):
        values = values.get(key, {})
    tag, _, digest = str(values.get("tag", "")).partition("@")
    tag = tag or str(_yaml("longrun/Chart.yaml")["appVersion"])
    return Reference(values["repository"], tag, values.get("digest") or digest)


def _yaml(path: str) -> Any:
    import yaml

    return yaml.safe_load((CHARTS / path).read_text(encoding="utf-8"))

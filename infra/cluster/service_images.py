"""Images of the three charts: where each chart reads them, and other references in their place, for mirrors and closed networks.

Where a chart says an image was read from its templates: kuberay-operator at tag v1.7.0, flyte-binary at v2.0.43 and its subchart.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

from components.errors import ConfigError
from infra.bundle import REPOSITORY

CHARTS = REPOSITORY / "charts"

_REFERENCE = re.compile(
    r"(?P<repository>[a-z0-9][a-z0-9.-]*(:\d+)?(/[a-z0-9][a-z0-9._-]*)+)(:(?P<tag>[A-Za-z0-9_][A-Za-z0-9_.-]*))?(@(?P<digest>sha256:[0-9a-f]{64}))?"
)
_HOST = re.compile(r"^(localhost|[^/]*[.:][^/]*)/")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_REGISTRY = re.compile(r"[a-z0-9][a-z0-9.-]*(:\d+)?(/[a-z0-9][a-z0-9._-]*)*")


@dataclass(frozen=True, slots=True)
class Reference:
    """An image: repository, and tag or digest or both."""

    repository: str
    tag: str = ""
    digest: str = ""

    @classmethod
    def parse(cls, text: str, where: str) -> Self:
        """Raises `ConfigError` for what is no reference; `where` names it."""
        match = _REFERENCE.fullmatch(text)
        if match is None or not (match["tag"] or match["digest"]):
            raise ConfigError(f"{where}: {text!r} is no image; allowed: HOST/NAME:TAG, HOST/NAME@sha256:…, or sha256:… alone")
        return cls(match["repository"], match["tag"] or "", match["digest"] or "")

    def moved(self, registry: str) -> "Reference":
        """The same image in a registry: its host gives way, the path stays, as in our chart's `images.registry`."""
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
    """kuberay, longrun or flyte."""
    keys: tuple[str, ...]
    """Where the chart's values name it; each has `repository` and `tag`."""


IMAGES = {
    "kuberay": ServiceImage("kuberay", ("image",)),
    # one image is the service and, beside tasks with raw containers, the co-pilot
    "flyte": ServiceImage("flyte", ("deployment.image", "configuration.co-pilot.image")),
    "console": ServiceImage("flyte", ("console.image",)),
    "wait-for-db": ServiceImage("flyte", ("deployment.waitForDB.image",)),
    "connector": ServiceImage("flyte", ("flyteconnector.image",)),
    **{name: ServiceImage("longrun", (f"images.{name}",)) for name in ("core", "tracking", "postgres", "store")},
}
"""Every image that the three charts name, by the name that a file of references calls it by."""

_VALUES = {"kuberay": "values/kuberay.yaml", "flyte": "values/flyte.yaml", "longrun": "longrun/values.yaml"}


def references(
    own: Mapping[str, Reference], registry: str = "", overrides: Mapping[str, str] | None = None
) -> dict[str, Reference]:
    """Name -> reference of every image that is not left to its chart: `own`, all where a `registry` is given, and `overrides`.

    An override is a reference, or a digest alone. Raises `ConfigError` for what is neither, and for names that are none.
    """
    overrides = overrides or {}
    if registry and not _REGISTRY.fullmatch(registry):
        raise ConfigError(
            f"--registry {registry!r}: allowed: host and path, such as mirror.example.com/longrun, without a scheme"
        )
    if unknown := sorted(set(overrides) - set(IMAGES)):
        raise ConfigError(f"--images: no chart has an image {unknown[0]!r}; allowed: {', '.join(IMAGES)}")
    chosen = {}
    for name in IMAGES:
        if not registry and name not in own and name not in overrides:
            continue
        text, base = overrides.get(name, ""), own.get(name) or of_chart(name)
        base = base.moved(registry) if registry else base
        if _DIGEST.fullmatch(text):
            chosen[name] = replace(base, digest=text)
        else:
            chosen[name] = Reference.parse(text, f"image {name}") if text else base
    return chosen


def read_overrides(path: Path) -> dict[str, str]:
    """A file of references, NAME: REFERENCE. Raises `ConfigError` where it is none."""
    import yaml

    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise ConfigError(f"--images {path}: {' '.join(str(error).split())}") from error
    if not isinstance(raw, dict) or not all(isinstance(text, str) for text in raw.values()):
        raise ConfigError(f"--images {path}: allowed: lines NAME: REFERENCE, such as postgres: mirror.example.com/postgres:17.10")
    return raw


def settings(release: str, chosen: Mapping[str, Reference]) -> tuple[str, ...]:
    """KEY=TEXT for each value of a release by which its chart takes the chosen references."""
    lines = []
    for name, image in IMAGES.items():
        if image.release == release and name in chosen:
            lines += [line for key in image.keys for line in _setting(key, chosen[name], digests=release == "longrun")]
    return tuple(lines)


def _setting(key: str, reference: Reference, *, digests: bool) -> list[str]:
    """Our chart has a key for digests; the others join repository and tag by a colon, behind which a digest may follow."""
    if digests:
        values = {"repository": reference.repository, "tag": reference.tag, "digest": reference.digest}
    else:
        digest = f"@{reference.digest}" if reference.digest else ""
        # what has a digest has a tag too in such a chart: the digest decides
        values = {"repository": reference.repository, "tag": f"{reference.tag or 'pinned'}{digest}"}
    return [f"{key}.{name}={text}" for name, text in values.items()]


def of_chart(name: str) -> Reference:
    """What our values file says of an image."""
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

"""Builds the helm commands that install longrun's chart, KubeRay and Flyte in a cluster, in this order.

The chart `longrun` comes first because the others use its priority class and stores. Commands are lists of arguments. A failed
command raises an error with helm's last line. Only the notes of our own chart are shown, because they contain no secret.
"""

import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.errors import ClusterError, ConfigError
from infra.cluster.profiles import Profile
from infra.cluster.service_images import CHARTS, Reference, default_reference, read_overrides, references, settings

SHAPES = ("trial", "production", "gpu")
"""Names of the values files that come with the chart longrun: `ci/NAME-values.yaml`."""

OPERATORS = ("kuberay", "flyte")
"""Releases of third-party charts, in the order in which they are installed."""

TIMEOUT = "10m"
"""How long helm waits for one release to become ready, which includes pulling its images."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Sources:
    """Where the charts, values files and images of a deployment come from."""

    values: Sequence[str] = ()
    """Values files for the chart longrun, or names of shapes."""
    flyte_values: Sequence[str] = ()
    """Further values files for Flyte, applied after `charts/values/flyte.yaml`."""
    charts: Sequence[str] = ()
    """Where KubeRay's and Flyte's charts are, or NAME=PLACE for one of them: a folder, oci://…, or a repository's https://…."""
    registry: str = ""
    """Registry from which all images of the three charts are pulled; empty: each image's original registry."""
    images: Path | None = None
    """File of image references that override all others; None: no file."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Release:
    """One chart with the options to install it."""

    name: str
    chart: str
    """Path of a local folder or archive, oci://…, or the chart's name in `repository`."""
    ours: bool = False
    """Whether it is the chart longrun."""
    repository: str = ""
    version: str = ""
    values: tuple[Path, ...]
    settings: tuple[str, ...] = ()
    """KEY=TEXT settings that override the values files: images, and values that follow from the profile."""


def releases(profile: Profile, sources: Sources) -> list[Release]:
    """The three releases, in the order in which they must be installed.

    Raises:
        ConfigError: a chart or values file is missing, no values are given for longrun, an image is unknown, or the values for
            Flyte do not match the profile's namespace or release.
    """
    import yaml

    if not (CHARTS / "operators.yaml").is_file():
        raise ConfigError(f"{CHARTS}/operators.yaml is missing: run longrun deploy from a checkout of longrun")
    if not sources.values:
        raise ConfigError(f"--values is missing; allowed: a file for the chart longrun, or one of {', '.join(SHAPES)}")
    if (profile.namespace, profile.release) != ("longrun", "longrun") and not sources.flyte_values:
        raise ConfigError(
            "charts/values/flyte.yaml is for namespace longrun and release longrun; name what differs with --flyte-values"
        )
    pinned = yaml.safe_load((CHARTS / "operators.yaml").read_text(encoding="utf-8"))
    locations, images = _locations(sources.charts), images_of(profile, sources)
    own = Release(
        name=profile.release,
        chart=str(CHARTS / "longrun"),
        ours=True,
        values=_files(sources.values),
        settings=settings("longrun", images),
    )
    # the chart names the class after its release
    priority = f"priorityClassName={profile.release}-services"
    kuberay = _operator("kuberay", pinned, locations, (), (priority, *settings("kuberay", images)))
    flyte = _operator("flyte", pinned, locations, _files(sources.flyte_values), settings("flyte", images))
    return [own, kuberay, flyte]


def images_of(profile: Profile, sources: Sources) -> dict[str, Reference]:
    """Name -> reference of the images that differ from the charts' defaults. Raises `ConfigError` for an invalid reference."""
    # a user's own values file defines its images itself
    shape = set(sources.values) <= set(SHAPES)
    own = {name: _own_image(profile, name) for name in ("core", "tracking")} if shape else {}
    return references(own, sources.registry, read_overrides(sources.images) if sources.images else {})


def _own_image(profile: Profile, name: str) -> Reference:
    return Reference(f"{profile.image_registry}/{name}", default_reference(name).tag, profile.image_digests.get(name, ""))


def _locations(charts: Sequence[str]) -> dict[str, str]:
    """Operator -> location of its chart, for those that `--charts` moves."""
    locations: dict[str, str] = {}
    for text in charts:
        name, separator, location = text.partition("=")
        if separator and name not in OPERATORS:
            raise ConfigError(f"--charts {text}: unknown chart {name!r}; allowed: PLACE, kuberay=PLACE, flyte=PLACE")
        locations |= {name: location} if separator else dict.fromkeys(OPERATORS, text)
    return locations


def _operator(
    name: str, pinned: Mapping[str, Any], locations: Mapping[str, str], more: tuple[Path, ...], settings: tuple[str, ...]
) -> Release:
    known: dict[str, str] = pinned[name]
    chart, repository, version = _source(known, locations.get(name, known["repository"]))
    values = (CHARTS / known["values"], *more)
    return Release(name=name, chart=chart, repository=repository, version=version, values=values, settings=settings)


def _source(known: Mapping[str, str], location: str) -> tuple[str, str, str]:
    """The chart, repository and version arguments of helm, for a repository, an OCI registry or a folder."""
    chart, version = known["chart"], known["version"]
    if location.startswith(("https://", "http://")):
        return chart, location, version
    if location.startswith("oci://"):
        return f"{location.rstrip('/')}/{chart}", "", version
    folder = Path(location).expanduser()
    matches = [path for path in (folder / chart, folder / f"{chart}-{version}.tgz", folder) if _is_chart(path, chart)]
    if not matches:
        raise ConfigError(
            f"--charts {location}: contains neither {chart} nor {chart}-{version}.tgz; allowed: a folder, oci://… or https://…"
        )
    return str(matches[0].resolve()), "", ""


def _is_chart(path: Path, name: str) -> bool:
    if path.suffix == ".tgz":
        return path.is_file() and path.name.startswith(f"{name}-")
    manifest = path / "Chart.yaml"
    return manifest.is_file() and f"name: {name}" in manifest.read_text(encoding="utf-8").splitlines()


def _files(values: Sequence[str]) -> tuple[Path, ...]:
    paths = [CHARTS / "longrun" / "ci" / f"{name}-values.yaml" if name in SHAPES else Path(name) for name in values]
    if missing := [str(path) for path in paths if not path.is_file()]:
        raise ConfigError(f"values file {missing[0]} does not exist; allowed: a file, or one of {', '.join(SHAPES)}")
    return tuple(paths)


def upgrade(release: Release, profile: Profile, program: str = "helm") -> list[str]:
    """The command that installs or upgrades a release, and waits until it is ready."""
    return [program, "upgrade", "--install", *_release_arguments(release, profile), "--wait", "--timeout", TIMEOUT]


def template(release: Release, profile: Profile, program: str = "helm") -> list[str]:
    """The command that renders a release without a cluster."""
    return [program, "template", *_release_arguments(release, profile)]


def _release_arguments(release: Release, profile: Profile) -> list[str]:
    source = ["--repo", release.repository] if release.repository else []
    source += ["--version", release.version] if release.version else []
    values = [word for path in release.values for word in ("--values", str(path))]
    settings = [word for setting in release.settings for word in ("--set-string", setting)]
    return [release.name, release.chart, *source, *_target(profile), *values, *settings]


def uninstall(name: str, profile: Profile, program: str = "helm") -> list[str]:
    """The command that uninstalls a release, if it is installed, and waits until its objects are deleted."""
    return [program, "uninstall", name, *_target(profile), "--ignore-not-found", "--wait", "--timeout", TIMEOUT]


def _target(profile: Profile) -> list[str]:
    return ["--namespace", profile.namespace, *(["--kube-context", profile.context] if profile.context else [])]


def helm() -> str:
    """Path of the helm program. Raises `ConfigError` if it is not on the PATH."""
    program = shutil.which("helm")
    if program is None:
        raise ConfigError("helm is not on the PATH; install helm 3.14 or later (https://helm.sh/docs/intro/install)")
    return program


def run(command: list[str], name: str) -> str:
    """Run a helm command and return its output. Raises `ClusterError` with helm's last line if it fails."""
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        reason = lines[-1] if lines else f"exit code {done.returncode}"
        raise ClusterError(f"helm {command[1]} {name} failed: {reason}; see the release with: helm status {name}")
    return done.stdout

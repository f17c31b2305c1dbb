"""Bills of materials against the locks that they are made from."""

import json
import re
from pathlib import Path

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from infra import sbom
from infra.bundle import REPOSITORY


@pytest.mark.parametrize("image", sbom.IMAGES)
def test_a_bill_holds_every_package_of_the_locks_and_no_other(image: str) -> None:
    texts = [(REPOSITORY / "infra" / "locks" / f"{lock}.txt").read_text() for lock in sbom.IMAGES[image]]
    locked = {tuple(pin) for text in texts for pin in re.findall(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", text, re.MULTILINE)}
    bill = json.loads(sbom.bill_of_materials(image))
    assert {(component["name"], component["version"]) for component in bill["components"]} == locked
    assert bill["metadata"]["component"]["name"] == f"longrun/{image}"


@pytest.mark.long
@pytest.mark.parametrize("image", ["train", "vllm"])
def test_every_package_but_torch_has_the_digests_of_its_files(image: str) -> None:
    components = json.loads(sbom.bill_of_materials(image))["components"]
    assert [component["name"] for component in components if not component["externalReferences"][0].get("hashes")] == ["torch"]


def test_the_same_locks_give_the_same_bytes() -> None:
    assert sbom.bill_of_materials("tracking") == sbom.bill_of_materials("tracking")


def test_a_bill_says_nothing_of_when_or_where_it_was_made() -> None:
    text = sbom.bill_of_materials("core")
    assert not re.search(r"timestamp|serialNumber|file://", text)
    assert str(REPOSITORY) not in text


def test_a_bill_keeps_to_cyclonedx_s_schema() -> None:
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(sbom.bill_of_materials("core")) is None


@pytest.mark.long
def test_one_file_is_written_for_each_image(tmp_path: Path) -> None:
    assert {path.name for path in sbom.write(tmp_path)} == {f"{image}.cdx.json" for image in sbom.IMAGES}
    assert {path.name for path in tmp_path.iterdir()} == {f"{image}.cdx.json" for image in sbom.IMAGES}

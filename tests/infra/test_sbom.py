"""Bills of materials against the locks that they are made from."""

import json
import re
from pathlib import Path

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from infra import sbom
from infra.bundle import PROJECT_ROOT


@pytest.mark.parametrize(("image", "build"), [*((image, "cuda") for image in sbom.IMAGES), ("train", "cpu"), ("evaluate", "cpu")])
def test_a_bill_holds_every_package_of_the_locks_and_no_other(image: str, build: str) -> None:
    texts = [(PROJECT_ROOT / "infra" / "locks" / f"{lock}.txt").read_text() for lock in sbom.locks(image, build)]
    locked = {tuple(pin) for text in texts for pin in re.findall(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", text, re.MULTILINE)}
    bill = json.loads(sbom.bill_of_materials(image, build))
    listed = {(component["name"], component["version"]) for component in bill["components"]}
    # the lock of training leaves the build of torch open
    assert listed == locked - ({("torch", "2.13.0")} if build == "cpu" else set())
    assert bill["metadata"]["component"]["name"] == f"longrun/{image}"


@pytest.mark.long
@pytest.mark.parametrize(("image", "build"), [("train", "cuda"), ("train", "cpu"), ("vllm", "cuda")])
def test_every_package_has_the_digests_of_its_files(image: str, build: str) -> None:
    components = json.loads(sbom.bill_of_materials(image, build))["components"]
    assert [component["name"] for component in components if not component["externalReferences"][0].get("hashes")] == []


def test_a_bill_of_an_image_for_gpus_names_cuda_s_libraries_and_one_for_cpus_does_not() -> None:
    listed = {build: {pin for lock in sbom.locks("train", build) for pin in sbom.locked(lock)} for build in sbom.BUILDS}
    assert {"triton", "nvidia-cublas", "nvidia-nccl-cu13"} <= listed["cuda"] - listed["cpu"]


@pytest.mark.parametrize("arguments", [[], ["one", "two"], ["--help"]])
def test_without_a_directory_the_command_says_what_it_wants(arguments: list[str]) -> None:
    assert sbom.main(arguments).startswith("usage: python -m infra.sbom DIRECTORY")


def test_the_same_locks_give_the_same_bytes() -> None:
    assert sbom.bill_of_materials("tracking") == sbom.bill_of_materials("tracking")


def test_a_bill_says_nothing_of_when_or_where_it_was_made() -> None:
    text = sbom.bill_of_materials("core")
    assert not re.search(r"timestamp|serialNumber|file://", text)
    assert str(PROJECT_ROOT) not in text


def test_a_bill_keeps_to_cyclonedx_s_schema() -> None:
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(sbom.bill_of_materials("core")) is None


@pytest.mark.long
def test_one_file_is_written_for_each_image_and_build(tmp_path: Path) -> None:
    names = {*(f"{image}.cdx.json" for image in sbom.IMAGES), "train-cpu.cdx.json", "evaluate-cpu.cdx.json"}
    assert sbom.main([str(tmp_path)]) == ""
    assert {path.name for path in tmp_path.iterdir()} == names

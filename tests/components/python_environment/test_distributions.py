"""Only recorded files of a distribution are read, with its licence and the owner of shared files."""

import subprocess
import sys
from pathlib import Path

import pytest

from components.errors import SourceError
from components.python_environment import description, distributions, locate
from tests.components.python_environment.conftest import Install


def test_only_recorded_python_files_that_exist_are_taken(install: Install, tmp_path: Path) -> None:
    install("shop", {"shop/a.py": "x = 1\n", "shop/data.json": "{}", "shop/gone.py": ""})
    (tmp_path / "site/shop/gone.py").unlink()
    (tmp_path / "site/shop/unrecorded.py").write_text("y = 2\n")
    (distribution,) = distributions(["shop"])
    assert [file.path for file in distribution.modules] == ["shop/a.py"]
    assert distribution.modules[0].size == 6


def test_files_outside_the_installation_are_not_taken(install: Install) -> None:
    install("shop", {"shop/a.py": ""}, record=["shop/a.py,,", "../bin/tool.py,,", "/etc/passwd.py,,"])
    assert [file.path for file in distributions(["shop"])[0].modules] == ["shop/a.py"]


def test_names_are_compared_as_pep_503_says_and_come_sorted(install: Install) -> None:
    install("Zoo.keeper", {"zoo/a.py": ""})
    install("ant-farm", {"ant/a.py": ""})
    assert [d.name for d in distributions(["zoo_keeper", "ANT.farm", "ant-farm"])] == ["ant-farm", "zoo-keeper"]


def test_a_distribution_that_is_not_installed_is_named() -> None:
    with pytest.raises(SourceError, match="'no-such-thing' is not installed"):
        distributions(["no-such-thing"])


def test_a_file_that_two_distributions_record_belongs_to_the_first_and_links_them(install: Install) -> None:
    install("core", {"shared/a.py": "a = 1\n", "core/own.py": ""})
    install("addon", {"shared/a.py": "a = 1\n", "addon/own.py": ""})
    addon, core = distributions(["core", "addon"])
    assert [file.path for file in addon.modules] == ["addon/own.py", "shared/a.py"]
    assert [file.path for file in core.modules] == ["core/own.py"]
    assert (addon.linked, core.linked) == (("core",), ("addon",))


@pytest.mark.parametrize(
    ("metadata", "licence"),
    [
        ("License-Expression: MIT\nLicense: whatever", "MIT"),
        ("License: BSD-3-Clause\nClassifier: License :: OSI Approved :: BSD License", "BSD-3-Clause"),
        ("License: Copyright (c) someone\n        All rights\nClassifier: License :: OSI Approved :: BSD License", "BSD License"),
        ("Classifier: License :: OSI Approved", "unknown"),
        ("License: UNKNOWN", "unknown"),
        ("", "unknown"),
    ],
)
def test_the_licence_is_the_most_exact_name_in_the_metadata(install: Install, metadata: str, licence: str) -> None:
    install("shop", {"shop.py": ""}, metadata=metadata)
    assert distributions(["shop"])[0].licence == licence


def test_the_description_is_the_body_of_the_metadata(install: Install) -> None:
    install("shop", {"shop.py": ""}, description="# Shop\n\nSells things.\n")
    file = distributions(["shop"])[0].metadata
    assert file is not None
    assert description(Path(file.location).read_text()) == "# Shop\n\nSells things."


def test_a_recorded_file_is_found_again_by_distribution_and_path(install: Install) -> None:
    install("shop", {"shop/a.py": "x = 1\n"})
    assert locate("shop/shop/a.py").read_text() == "x = 1\n"


def test_installed_mathematics_is_known_as_such() -> None:
    assert {d.name: d.mathematical for d in distributions(["numpy", "pyarrow"])} == {"numpy": True, "pyarrow": False}


def test_vendored_copies_that_an_import_puts_on_the_path_are_not_what_is_installed() -> None:
    code = (
        "from components.python_environment import distributions\n"
        "before = distributions(['psutil'])\n"
        "import ray, sys\n"
        "assert any('thirdparty_files' in entry for entry in sys.path)\n"
        "assert distributions(['psutil']) == before\n"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr

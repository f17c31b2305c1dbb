"""Every Python block of a page runs as it stands there, or another test runs it."""

import re
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from components.alignment import config as alignment
from components.curation import config as curation
from components.evaluation import config as evaluation
from tests.components.curation.conftest import prose
from tests.pages.shown import PAGES
from tests.paths import ROOT
from workflows.recipes.tiny import tiny

ELSEWHERE = {
    "README.md": "tests/end_to_end/test_own_data.py",
    "components/extensions/examples.md": "tests/end_to_end/test_own_code.py",
    "infra/README.md": "tests/infra/test_storage.py",  # such a store, on an S3 API
    "workflows/README.md": "tests/workflows/summary.py",
}
"""Page -> what runs its blocks."""

NOT_RUN = {"convert_hf_to_gguf": "runs in the folder of llama.cpp, which is not installed"}
"""Module that a block imports -> why the block is not run."""


def blocks(page: Path) -> list[str]:
    """The Python blocks of a page."""
    return re.findall(r"^```python\n(.*?)^```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


LONG = "figures = curate("
"""What takes half a minute where nothing is compiled yet, for machine code."""

SNIPPETS = {
    f"{name}-{number}": block
    for page in PAGES
    if (name := str(page.relative_to(ROOT))) not in ELSEWHERE
    for number, block in enumerate(blocks(page), 1)
    if not any(f"import {module}\n" in block for module in NOT_RUN)
}


@pytest.mark.parametrize("block", SNIPPETS.values(), ids=SNIPPETS)
def test_a_block_of_a_page_makes_its_configs(block: str) -> None:
    _run(block.partition(LONG)[0])


@pytest.mark.slow
@pytest.mark.parametrize("block", [block for block in SNIPPETS.values() if LONG in block])
def test_a_block_that_curates_makes_a_corpus(block: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my-texts").mkdir()
    for number in range(30):
        (tmp_path / "my-texts" / f"{number}.txt").write_text(prose(number))
    assert _run(block)["figures"]["kept_documents"] == 30


def _run(block: str) -> dict[str, Any]:
    names: dict[str, Any] = {**vars(alignment), **vars(curation), **vars(evaluation), "replace": replace, "base": tiny()}
    exec(block, names)
    return names


@pytest.mark.parametrize("module", NOT_RUN)
def test_a_block_that_is_not_run_is_on_a_page_and_its_module_is_not_installed(module: str) -> None:
    assert [page for page in PAGES for block in blocks(page) if f"import {module}\n" in block]
    assert find_spec(module) is None


@pytest.mark.parametrize(("page", "runner"), ELSEWHERE.items())
def test_what_runs_the_blocks_of_a_page_exists(page: str, runner: str) -> None:
    assert blocks(ROOT / page)
    assert (ROOT / runner).is_file()

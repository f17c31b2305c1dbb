"""Names that stages share are spelled out in one module."""

import ast
from pathlib import Path

import pytest

from components import names
from tests.paths import ROOT

MODULES = sorted(
    path.relative_to(ROOT)
    for package in ("components", "infra", "workflows")
    for path in (ROOT / package).rglob("*.py")
    if path != Path(names.__file__)
)


def spelled_out(tree: ast.AST) -> set[object]:
    """The baselines' names, and the pair of splits, that a module writes as literals of its own."""
    texts = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and node.value in names.BASELINES}
    literals = (node for node in ast.walk(tree) if isinstance(node, ast.Tuple | ast.List | ast.Set))
    return texts | {
        names.SPLITS
        for node in literals
        if [item.value for item in node.elts if isinstance(item, ast.Constant)] == list(names.SPLITS)
    }


@pytest.mark.parametrize("path", MODULES, ids=str)
def test_no_other_module_spells_them_out(path: Path) -> None:
    assert spelled_out(ast.parse((ROOT / path).read_text(encoding="utf-8"))) == set()


@pytest.mark.parametrize(
    "text", ['x == "byte-unigram"', 'for split in ("train", "validation"): ...', 'A = ["train", "validation"]']
)
def test_a_name_that_is_spelled_out_is_found(text: str) -> None:
    assert spelled_out(ast.parse(text))


def test_what_artifacts_hold_already_keeps_its_names() -> None:
    assert names.SPLITS == ("train", "validation")
    assert names.BASELINES == ("byte-unigram", "zlib-9")

"""The baselines' names are spelled out in one place."""

import ast
from pathlib import Path

from components.artifacts import BASELINES
from tests.paths import MODULES, ROOT

OURS = [path for path in MODULES if path != Path("components/artifacts/baselines.py")]


def spelled_out(tree: ast.AST) -> set[object]:
    """The baselines' names that a module writes as literals of its own."""
    return {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and node.value in BASELINES}


def test_no_other_module_spells_them_out() -> None:
    trees = {str(path): ast.parse((ROOT / path).read_text(encoding="utf-8")) for path in OURS}
    assert {path for path, tree in trees.items() if spelled_out(tree)} == set()


def test_a_name_that_is_spelled_out_is_found() -> None:
    assert spelled_out(ast.parse('x == "byte-unigram"'))


def test_what_artifacts_hold_already_keeps_its_names() -> None:
    assert BASELINES == ("byte-unigram", "zlib-9")

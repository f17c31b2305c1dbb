"""What crosses a stage has a type, and a step's figures are shown and decide nothing."""

import ast
from collections.abc import Iterator

import pytest

from tests.paths import MODULES, ROOT

MAX_UNTYPED = 40
"""Mappings from text to anything, in all modules together."""

SHOWN = {
    "components/artifacts/outcome.py": "the figures of a typed outcome",
    "components/curation/pages/overview.py": "a page that shows them",
}
"""Modules that look up a figure by name, each with the reason."""


def untyped(tree: ast.AST) -> int:
    """How often a module says `dict[str, Any]`."""
    return sum(ast.unparse(node) == "dict[str, Any]" for node in ast.walk(tree) if isinstance(node, ast.Subscript))


def looked_up(tree: ast.AST) -> Iterator[str]:
    """Every place where a figure of an artifact is looked up by its name."""
    for node in ast.walk(tree):
        if (
            (isinstance(node, ast.Subscript) and _are_figures(node.value))
            or (isinstance(node, ast.Attribute) and node.attr in {"get", "pop"} and _are_figures(node.value))
            or (isinstance(node, ast.Compare) and any(map(_are_figures, node.comparators)))
        ):
            yield ast.unparse(node)


def _are_figures(node: ast.AST) -> bool:
    if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant):
        return node.slice.value == "figures"
    return isinstance(node, ast.Attribute) and node.attr == "figures"


@pytest.fixture(scope="module")
def trees() -> dict[str, ast.Module]:
    """Every module of ours."""
    return {str(path): ast.parse((ROOT / path).read_text(encoding="utf-8")) for path in MODULES}


def test_few_mappings_hold_anything(trees: dict[str, ast.Module]) -> None:
    counts = {path: untyped(tree) for path, tree in trees.items() if untyped(tree)}
    assert sum(counts.values()) <= MAX_UNTYPED, counts


def test_a_mapping_that_holds_anything_is_counted() -> None:
    assert untyped(ast.parse("def f(a: dict[str, Any]) -> list[dict[str, Any]]: ...")) == 2
    assert untyped(ast.parse("def f(a: dict[str, int]) -> dict[int, Any]: ...")) == 0


def test_no_figure_decides_anything(trees: dict[str, ast.Module]) -> None:
    assert {path for path, tree in trees.items() if any(looked_up(tree))} == set(SHOWN)


@pytest.mark.parametrize(
    "text",
    [
        'steps = store.manifest(uri).figures["steps"]',
        'shape = ModelShape(**manifest.figures["shape"])',
        'if "prediction" not in store.manifest(plan.uri).figures: ...',
        'loss = checkpoint.figures.get("loss")',
        'step = journal.last("pretraining")["figures"]["step"]',
    ],
)
def test_a_figure_that_is_looked_up_is_found(text: str) -> None:
    assert any(looked_up(ast.parse(text)))

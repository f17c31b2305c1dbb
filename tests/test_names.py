"""Names: the words of the glossary, limits that say which end they are, and one class for a name.

CONTRIBUTING.md has the glossary.
"""

import ast
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.paths import MODULES, ROOT

TESTS = sorted(path.relative_to(ROOT) for path in (ROOT / "tests").rglob("*.py"))

BANNED = {
    "place": "directory, path, uri, index, position, rank or coordinates",
    "found": "what it is: matches, version, manifest, …",
    "part": "shard, partition, phase or component",
    "left": "remaining; of two: first, source, before",
    "one": "what it is one of: row, name, path, …",
    "goes": "is removed, moves",
    "side": "split",
    "patience": "retry",
    "passing": "transient",
    "parted": "sharded, partitioned or divided",
    "begin": "start",
    "begins": "starts",
    "beginning": "prefix or start",
    "least": "min",
    "most": "max",
    "shelf": "partition",
    "talk": "conversation",
    "dialogue": "conversation",
}
"""Words that stood for many things, and what to say in their place. Plurals too."""

LIMITS = re.compile(r"(?<!^)_(min|max|limit|least|most)(_|$)")
"""Where a limit does not begin with the end that it is."""


def words_of(name: str) -> list[str]:
    """The words of a name in snake case or camel case, in lower case and singular."""
    words = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)
    return [word.lower().removesuffix("s") if word.lower().removesuffix("s") in BANNED else word.lower() for word in words]


def bindings(tree: ast.AST) -> Iterator[str]:
    """Every name that a module binds: functions, classes, parameters, variables and attributes, public or not."""
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                yield node.name
            case ast.arg():
                yield node.arg
            case ast.Name(ctx=ast.Store()) | ast.Name(ctx=ast.Del()):
                yield node.id
            case ast.Attribute(ctx=ast.Store()):
                yield node.attr
            case ast.alias(asname=str() as name):
                yield name
            case ast.ExceptHandler(name=str() as name) | ast.MatchAs(name=str() as name):
                yield name


def banned(path: Path, tree: ast.AST) -> Counter[str]:
    """The names in a module, and its own, that hold a banned word."""
    names = Counter([*path.with_suffix("").parts, *bindings(tree)])
    return Counter({name: count for name, count in names.items() if set(words_of(name)) & set(BANNED)})


def parsed(path: Path) -> ast.Module:
    """The syntax tree of a module of ours."""
    return ast.parse((ROOT / path).read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", [*MODULES, *TESTS], ids=str)
def test_a_module_binds_no_banned_word(path: Path) -> None:
    """The names of tests are sentences, and may say any word; `one_gpu` is the recipe that users call `one-gpu`."""
    assert {name for name in banned(path, parsed(path)) if not name.startswith("test_")} <= {"one_gpu"}


@pytest.mark.parametrize(
    "text",
    [
        "place = 1",
        "def f(left_rows): ...",
        "class FoundParts: ...",
        "self.patience = 1",
        "for one in (): ...",
        "import a as sides",
    ],
)
def test_a_banned_word_is_found(text: str) -> None:
    assert banned(Path("infra/good.py"), ast.parse(text))


def test_a_word_inside_another_is_none() -> None:
    assert not banned(Path("infra/partition.py"), ast.parse("partition = replace = foundation = inside = leftover = 1"))


def public_classes() -> dict[str, list[str]]:
    """Where each public class is defined, by its name."""
    where = defaultdict(list)
    for path in MODULES:
        for node in parsed(path).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                where[node.name].append(str(path))
    return where


def test_no_two_public_classes_have_one_name() -> None:
    assert {name: paths for name, paths in public_classes().items() if len(paths) > 1} == {}


CONFIGS = sorted(path for path in MODULES if path.name in {"config.py", "limits.py", "recipe.py", "sweep.py", "layout.py"})


def fields_of(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """The public fields of the classes of a module, with their class."""
    for owner in (node for node in tree.body if isinstance(node, ast.ClassDef)):
        for node in owner.body:
            if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and not node.target.id.startswith("_"):
                yield owner.name, node.target.id


@pytest.mark.parametrize("path", CONFIGS, ids=str)
def test_a_limit_begins_with_the_end_that_it_is(path: Path) -> None:
    assert [field for field in fields_of(parsed(path)) if LIMITS.search(field[1])] == []


def test_every_limit_of_a_check_begins_with_min_or_max() -> None:
    fields = fields_of(parsed(Path("components/checks/limits.py")))
    limits = [field for field in fields if field[0] not in {"CheckLimits", "OwnChecks"}]
    assert [field for field in limits if not field[1].startswith(("min_", "max_"))] == []


@pytest.mark.parametrize("name", ["flagged_words_least", "documents_max", "epoch_limit", "loss_limit_share"])
def test_a_limit_that_ends_with_its_end_is_found(name: str) -> None:
    assert LIMITS.search(name)


MAX_PARAMETERS = 8


def long_signatures(tree: ast.AST) -> Iterator[str]:
    """Public functions and methods with more than `MAX_PARAMETERS` parameters, `self` not counted."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not node.name.startswith("_"):
            arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
            if sum(argument.arg not in {"self", "cls"} for argument in arguments) > MAX_PARAMETERS:
                yield node.name


@pytest.mark.parametrize("path", [path for path in MODULES if path.parts[:2] != ("workflows", "cli")], ids=str)
def test_a_public_function_takes_values_and_not_a_list_of_parameters(path: Path) -> None:
    """The commands of typer are left out: each of their parameters is an option."""
    assert list(long_signatures(parsed(path))) == []


def test_a_function_with_too_many_parameters_is_found() -> None:
    assert list(long_signatures(ast.parse("def f(a, b, c, d, /, e, f, *, g, h, i): ..."))) == ["f"]

"""Finds by syntax trees which functions raise our errors, and which of them the preflight calls.

The modules of a stage are those that its cache key covers. In those of the preflight, a name is followed to functions, methods
and variables of that name in the same module and in the modules that it imports.
"""

import ast
import functools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from components import errors
from infra import caching
from tests.paths import ROOT
from workflows import alignment, curation, evaluation, pretraining, registration, scaling
from workflows import tokenizer as tokenization
from workflows.preflight.question import Question

OURS = frozenset(
    name for name, value in vars(errors).items() if isinstance(value, type) and issubclass(value, errors.LongrunError)
)
"""Names of our errors."""


@dataclass(frozen=True)
class Definition:
    """A function, method or variable of a module."""

    path: str
    """The module, below the root of the repository."""
    name: str
    """Its name in the module, such as `Class.method`."""
    errors: frozenset[str] = field(default=frozenset(), compare=False)
    """Names of our errors that it raises itself; "require" for `require`, except in `__post_init__`, which runs on loading."""
    uses: frozenset[str] = field(default=frozenset(), compare=False)
    """Names of functions, methods and variables that it uses."""

    def __str__(self) -> str:
        return f"{self.path}:{self.name}"


@functools.cache
def definitions_in(path: str, root: Path = ROOT) -> tuple[Definition, ...]:
    """Everything that a module defines."""
    tree = ast.parse((root / path).read_bytes())
    makers = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and _name(node.returns) in OURS}
    return tuple(_definitions(tree, path, "", frozenset(makers)))


def _definitions(tree: ast.AST, path: str, prefix: str, makers: frozenset[str]) -> Iterator[Definition]:
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.ClassDef):
            yield Definition(path, f"{prefix}{node.name}", uses=_uses(node.bases))
            yield from _definitions(node, path, f"{prefix}{node.name}.", makers)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            is_loading = node.name == "__post_init__"
            yield Definition(path, prefix + node.name, frozenset(_raised(node, makers, is_loading)), _uses([node]))
        elif isinstance(node, ast.Assign | ast.AnnAssign) and not prefix and node.value is not None:
            for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                yield Definition(path, _name(target), uses=_uses([node.value]))


def _raised(function: ast.AST, makers: frozenset[str], is_loading: bool) -> Iterator[str]:
    for node in ast.walk(function):
        if isinstance(node, ast.Raise) and node.exc is not None:
            name = _name(node.exc.func if isinstance(node.exc, ast.Call) else node.exc)
            if name in OURS or name in makers or name in {"failure", "damaged"}:
                yield name
        elif isinstance(node, ast.Call) and _name(node.func) == "require" and not is_loading:
            yield "require"


def _uses(nodes: Iterable[ast.AST]) -> frozenset[str]:
    inner = [each for node in nodes for each in ast.walk(node)]
    names = {node.id for node in inner if isinstance(node, ast.Name)}
    return frozenset(names | {node.attr for node in inner if isinstance(node, ast.Attribute)})


def _name(node: ast.AST | None) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


def step_functions() -> dict[str, Callable[..., Any]]:
    """The function of every step of a recipe, by name."""
    modules = (curation, tokenization, scaling, pretraining, alignment, evaluation, registration)
    tasks = {name: value.func for module in modules for name, value in vars(module).items() if hasattr(value, "func")}
    return {name: function for name, function in tasks.items() if hasattr(function, "facts")}


def raising() -> list[Definition]:
    """Every function that raises one of our errors and that a step can reach, sorted."""
    paths = {path for function in step_functions().values() for path in caching.reachable(function)}
    return sorted(
        (definition for path in paths for definition in definitions_in(path) if definition.errors), key=lambda each: str(each)
    )


def asked() -> set[Definition]:
    """Everything that the questions of the preflight use, directly or through others."""
    return {definition for question in questions() for definition in used_by(question)}


def questions(kind: type[Question] = Question) -> list[type[Question]]:
    """Every class of questions that is asked."""
    inner = [each for subclass in kind.__subclasses__() for each in (subclass, *questions(subclass))]
    return [each for each in inner if each.__module__.startswith("workflows.preflight")]


def used_by(question: type[Question]) -> set[Definition]:
    """Everything that a question's module uses of our code."""
    own = Path(*question.__module__.split(".")).with_suffix(".py").as_posix()
    by_name: dict[str, list[Definition]] = {}
    for definition in (each for path in _reached(own) for each in definitions_in(path)):
        by_name.setdefault(definition.name.rpartition(".")[2], []).append(definition)
    seen, waiting = set[Definition](), list(definitions_in(own))
    while waiting:
        user = waiting.pop()
        if user in seen:
            continue
        seen.add(user)
        for use in user.uses:
            waiting += _meant(user.path, by_name.get(use, []))
    return seen


def _reached(path: str) -> list[str]:
    """A module, and those of the components that it imports, directly or through others."""
    seen, waiting = set[str](), [path]
    while waiting:
        current = waiting.pop()
        if current not in seen:
            seen.add(current)
            waiting += [each for each in _imported(current) if each.startswith(("components/", "infra/"))]
    return sorted(seen)


def _meant(path: str, candidates: list[Definition]) -> Iterator[Definition]:
    """Of the definitions of a name, those that a module can mean by it; with a class, its initialiser and its call."""
    for candidate in candidates:
        if candidate.path == path or candidate.path in _imported(path):
            yield candidate
            called = {f"{candidate.name}.__init__", f"{candidate.name}.__call__"}
            yield from (each for each in definitions_in(candidate.path) if each.name in called)


@functools.cache
def _imported(path: str, root: Path = ROOT) -> frozenset[str]:
    """The modules that a module imports, anywhere in it, and those from which its packages collect names."""
    tree, modules = ast.parse((root / path).read_bytes()), set[str]()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            modules |= {node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)}
    bases = [Path(*module.split(".")) for module in modules if module]
    files = {file for base in bases for file in (base.with_suffix(".py"), base / "__init__.py") if (root / file).is_file()}
    collected = {each for file in files if file.name == "__init__.py" for each in _imported(file.as_posix(), root)}
    return frozenset({file.as_posix() for file in files} | collected)

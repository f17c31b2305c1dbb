"""Computes cache keys, which decide whether a step is reused, and code digests, which record exactly what ran.

The cache key of a step hashes the fields of its config that decide the result, the content digests of its inputs, and all code
that it can reach, as syntax trees without comments and docstrings. So neither an edited comment nor an input's timestamp retrains
a model. The code digest in the manifest hashes the same files byte by byte, so that the record is exact.
"""

import ast
import dataclasses
import functools
import hashlib
import inspect
import json
import platform
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from components.artifacts import Artifact
from components.decides import deciding
from components.extensions import Extension, extensions_in, imported_from_outside, recorded, versions_of
from components.files import JSON
from infra.bundle import PROJECT_ROOT


def cache_key(function: Callable[..., Any], config: object, inputs: Mapping[str, Artifact], facts: Mapping[str, str]) -> str:
    """sha256 hex over the step function and the code it reaches, its config and the code of extensions in it, the content digests
    of its inputs, and other `facts`."""
    key = {
        "code": code_key(function),
        "config": as_json(config, deciding),
        "inputs": {name: artifact.content for name, artifact in inputs.items()},
        "facts": dict(facts),
    }
    if own := [extension_key(extension) for extension in extensions_in(config)]:
        key["extensions"] = own
    return hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()


def as_json(config: object, fields: Callable[[Any], dict[str, JSON]] = recorded) -> dict[str, JSON]:
    """A config dataclass as JSON values, with the name of its type; `fields` chooses which fields are included."""
    if not dataclasses.is_dataclass(config) or isinstance(config, type):
        raise TypeError(f"{type(config).__name__} is not a config dataclass")
    return {"type": type(config).__name__, **fields(config)}


def code_key(function: Callable[..., Any], root: Path = PROJECT_ROOT) -> str:
    """Hash of the code's meaning: syntax trees of the function and of every module of ours that it reaches."""
    own = _meaning(ast.parse(_source(function)))
    trees = [f"{path}\n{_module(root, path).meaning}" for path in reachable(function, root)]
    return hashlib.sha256("\n".join([own, *trees]).encode()).hexdigest()


def extension_key(extension: Extension, root: Path = PROJECT_ROOT) -> str:
    """Hash of the meaning of an extension: the syntax trees of its modules and of our modules that they reach, the bytes of its
    data files, and the versions of the installed packages that it imports."""
    files = {file.path: _meaning(ast.parse(file.content)) if file.is_module else file.digest for file in extension.files}
    ours = {path: _module(root, path).meaning for path in _reached(_ours(imported_from_outside(extension)), root)}
    key = {"files": files, "ours": ours, "installed": versions_of(extension)}
    return hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()


def code_digest(function: Callable[..., Any], config: object = None, root: Path = PROJECT_ROOT) -> str:
    """Hash of the source text of all modules that the function reaches, and of the extensions in its config."""
    texts = [f"{path}\n{hashlib.sha256((root / path).read_bytes()).hexdigest()}" for path in reachable(function, root)]
    texts += [extension.digest for extension in extensions_in(config)]
    return hashlib.sha256("\n".join([_source(function), *texts]).encode()).hexdigest()


def reachable(function: Callable[..., Any], root: Path = PROJECT_ROOT) -> list[str]:
    """The files below `components/` that `function` imports in its body, directly or through others, sorted.

    A generated function lists the modules that it imports by name in `function.reaches`.
    """
    return _reached([*_imported(ast.parse(_source(function))), *getattr(function, "reaches", ())], root)


def _source(function: Callable[..., Any]) -> str:
    """Source text of a function of our packages; for other functions of the whole module, which may contain the component."""
    path = Path(inspect.getsourcefile(inspect.unwrap(function)) or "")
    if any(path.is_relative_to(PROJECT_ROOT / package) for package in ("components", "infra", "workflows")):
        return textwrap.dedent(inspect.getsource(function))
    return path.read_text(encoding="utf-8")


def _reached(modules: Iterable[str], root: Path) -> list[str]:
    """The files below `root` that importing these modules executes, directly or through other modules, sorted."""
    waiting, files = list(modules), set()
    while waiting:
        for path in _files(root, waiting.pop()):
            if path not in files:
                files.add(path)
                waiting.extend(_module(root, path).imports)
    return sorted(files)


@functools.cache
def environment_digest() -> str:
    """sha256 hex over the locks, the Python version and the platform."""
    locks = [hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted((PROJECT_ROOT / "infra" / "locks").glob("*.txt"))]
    return hashlib.sha256("\n".join([*locks, platform.python_version(), platform.machine()]).encode()).hexdigest()


@dataclasses.dataclass(frozen=True)
class _Module:
    meaning: str
    imports: tuple[str, ...]


@functools.cache
def _module(root: Path, path: str) -> _Module:
    tree = ast.parse((root / path).read_bytes())
    return _Module(meaning=_meaning(tree), imports=tuple(_imported(tree)))


def _meaning(tree: ast.AST) -> str:
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            # Docstrings, of attributes too, are expressions that do nothing.
            node.body = [line for line in body if not _is_docstring(line)]  # type: ignore[attr-defined]
    return ast.dump(tree)


def _is_docstring(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def _imported(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.startswith("components"))
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("components"):
            yield str(node.module)
            # `from package import module` names a module too
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _ours(modules: Iterable[str]) -> Iterator[str]:
    return (module for module in modules if module.startswith("components"))


def _files(root: Path, module: str) -> Iterator[str]:
    path = Path(*module.split("."))
    packages = [parent / "__init__.py" for parent in path.parents if parent.name]
    for candidate in (*packages, path.with_suffix(".py"), path / "__init__.py"):
        if (root / candidate).is_file():
            yield candidate.as_posix()

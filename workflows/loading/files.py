"""Load recipes and sweeps from Python functions: built-in ones by name, those of a user by file."""

import importlib
import importlib.util
import sys
import traceback
import types
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

from components.errors import ConfigError, unknown
from workflows.loading.misspelling import suggestion, unknown_field
from workflows.loading.renamed import hint_for

Value = TypeVar("Value")


def load(argument: str, kind: type[Value], package: str, names: Sequence[str]) -> Value:
    """The value of class `kind` that `argument` names: one of `names` in `package`, or `file.py[:function]`.

    Raises:
        ConfigError: there is no such name, file or function; or the function fails or returns another class.
    """
    return _from_file(argument, kind) if ".py" in argument else _built_in(argument, kind, package, names)


def folder_of(argument: str) -> Path:
    """The directory to which paths of extension code are relative: that of the recipe's file; else the current directory."""
    file = argument.partition(":")[0]
    return Path(file).expanduser().resolve().parent if ".py" in argument else Path.cwd()


def _built_in(name: str, kind: type[Value], package: str, names: Sequence[str]) -> Value:
    if name not in names:
        word = _word(kind)
        raise ConfigError(f"{unknown(word, name, list(names))}, or a file: my_{word}.py[:function]")
    # a Python name does not start with a digit
    function = name.replace("-", "_") if name[0].isalpha() else f"{_word(kind)}_{name}"
    made: Value = getattr(importlib.import_module(f"{package}.{function}"), function)()
    return made


def _from_file(argument: str, kind: type[Value]) -> Value:
    word = _word(kind)
    file, _, function = argument.partition(":")
    path = Path(file).expanduser().resolve()
    if not path.is_file():
        raise ConfigError(f"{word} file {path} does not exist")
    module = _import_file(path, kind)
    name = function or _only_function(path, module, word)
    make = getattr(module, name, None)
    if not callable(make):
        known = _functions(module)
        raise ConfigError(f"{word} file {path}: {unknown('function', name, known) if known else 'it has no functions'}")
    made = _called(make, path, name, kind)
    if not isinstance(made, kind):
        raise ConfigError(f"{word} function {path}:{name} returned {type(made).__name__}; it must return a {kind.__name__}")
    return made


def _called(make: Any, path: Path, name: str, kind: type) -> Any:
    try:
        return make()
    except ConfigError:
        raise
    except Exception as error:
        where = f"{_word(kind)} function {path}:{name} failed{_line(error, path)}"
        raise ConfigError(f"{where}: {type(error).__name__}: {error}{_hint(error, kind)}") from error


def _line(error: Exception, path: Path) -> str:
    """The innermost line of the file that an error comes from."""
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    return f" in line {lines[-1]}" if lines else ""


def _hint(error: Exception, kind: type) -> str:
    """The new name of a renamed field, or a suggestion for a misspelt name."""
    _, field = unknown_field(error)
    hint = (hint_for(field) if field else "") or suggestion(error, kind)
    return f"; {hint}" if hint else ""


def _import_file(path: Path, kind: type) -> types.ModuleType:
    word = _word(kind)
    spec = importlib.util.spec_from_file_location(f"longrun_{word}_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise ConfigError(f"{word} file {path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    try:
        spec.loader.exec_module(module)
    except ConfigError:
        raise
    except Exception as error:
        where = f"{word} file {path} cannot be imported{_line(error, path)}"
        raise ConfigError(f"{where}: {type(error).__name__}: {error}{_hint(error, kind)}") from error
    return module


def _functions(module: types.ModuleType) -> list[str]:
    own = (name for name, value in vars(module).items() if isinstance(value, types.FunctionType))
    return sorted(name for name in own if getattr(module, name).__module__ == module.__name__ and not name.startswith("_"))


def _only_function(path: Path, module: types.ModuleType, word: str) -> str:
    names = _functions(module)
    if len(names) != 1:
        raise ConfigError(
            f"{word} file {path} has {len(names)} functions ({', '.join(names) or 'none'}); name one: {path.name}:FUNCTION"
        )
    return names[0]


def _word(kind: type) -> str:
    return kind.__name__.lower()

"""Suggests the name that was probably meant where a recipe file has one that does not exist; Python itself often does not."""

import builtins
import dataclasses
import difflib
import re
import sys
import typing
from collections.abc import Iterable
from types import TracebackType


def suggestion(error: Exception, kind: type) -> str:
    """What an error in a recipe file probably meant, such as `did you mean 'text_field'?`; empty if that is not clear.

    `kind` is the class that the file makes: `Recipe` or `Sweep`. Covers fields of the configs inside it, attributes, variables
    and imported names.
    """
    wrong, known = _names(error, kind)
    near = difflib.get_close_matches(wrong, list(known), n=1) if wrong else []
    return f"did you mean {near[0]!r}?" if near else ""


def unknown_field(error: Exception) -> tuple[str, str]:
    """Class and name of a field that a call gave to a class without such a field; both empty for another error."""
    call = re.search(r"(\w+)\.__init__\(\) got an unexpected keyword argument '(\w+)'", str(error))
    return (call[1], call[2]) if isinstance(error, TypeError) and call else ("", "")


def _names(error: Exception, kind: type) -> tuple[str, Iterable[str]]:
    """The name that does not exist, and the names that do."""
    owner, field = unknown_field(error)
    if field:
        fields = next((dataclasses.fields(config) for config in _configs(kind, set()) if config.__name__ == owner), ())
        return field, [field.name for field in fields if field.init]
    if isinstance(error, AttributeError) and error.name:
        return error.name, [name for name in dir(error.obj) if not name.startswith("_")]
    if isinstance(error, NameError) and error.name:
        return error.name, _visible(error.__traceback__)
    if isinstance(error, ImportError) and (name := re.match(r"cannot import name '(\w+)' from '([\w.]+)'", str(error))):
        return name[1], vars(sys.modules[name[2]]) if name[2] in sys.modules else ()
    return "", ()


def _visible(trace: TracebackType | None) -> list[str]:
    """The names that the innermost frame of a traceback can use."""
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return [*trace.tb_frame.f_locals, *trace.tb_frame.f_globals, *vars(builtins)] if trace else []


def _configs(hint: typing.Any, seen: set[type]) -> Iterable[type]:
    """Every dataclass inside a type, at any depth."""
    for inner in typing.get_args(hint):
        yield from _configs(inner, seen)
    if isinstance(hint, type) and dataclasses.is_dataclass(hint) and hint not in seen:
        seen.add(hint)
        yield hint
        for field_hint in typing.get_type_hints(hint).values():
            yield from _configs(field_hint, seen)

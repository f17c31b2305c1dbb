"""Overrides: `--set FIELD=VALUE` replaces one value inside a recipe. Errors suggest the right name, or a right value."""

import dataclasses
import difflib
import json
import shlex
import types
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from components.errors import ConfigError, unknown
from workflows.loading.renamed import new_name_of

Whole = TypeVar("Whole")

_MAPPINGS = (dict, Mapping)
"""The types of mappings in configs, as `typing.get_origin` returns them."""

_MAX_SUGGESTIONS = 4
"""Maximum number of fields that a message about an unknown field suggests."""

_MAX_EXAMPLE = 120
"""Maximum characters of an example value in a message."""


@dataclass(frozen=True, slots=True)
class _Target:
    """The value that an override replaces, inside a whole recipe."""

    owners: tuple[tuple[Any, Any], ...]
    """The recipe and the values on the way to the target, from the outside in, each with the field, index or key within it."""
    hint: Any
    """The type of the value."""
    value: Any
    """The present value; None if it is a new key of a mapping."""

    def inside(self, key: Any, hint: Any, value: Any) -> "_Target":
        """The target one level deeper."""
        return _Target((*self.owners, (self.value, key)), hint, value)

    def replaced(self, value: Any) -> Any:
        """The whole recipe with another value at the target. Raises `ConfigError` if an owner does not allow the value."""
        for owner, key in reversed(self.owners):
            if isinstance(owner, tuple):
                value = (*owner[:key], value, *owner[key + 1 :])
            elif isinstance(owner, Mapping):
                value = {**owner, key: value}
            else:
                value = dataclasses.replace(owner, **{key: value})
        return value


def apply_override(recipe: Whole, override: str) -> Whole:
    """`recipe` with one value replaced by `section.field=value`; the value is JSON, or plain text for a string.

    An element of a list is addressed by its name or by its number from 0, an element of a mapping by its key.

    Raises:
        ConfigError: the override is malformed, there is no such field, or the field does not allow the value. For a wrong value
            the message ends with an override of the same field that is right.
    """
    path, separator, text = override.partition("=")
    if not separator or not path:
        raise ConfigError(f"--set {override!r}: not of the form section.field=value, such as pretraining.learning_rate=0.001")
    target = _find(recipe, path)
    try:
        replaced: Whole = target.replaced(_typed(target.hint, text, path))
    except ConfigError as error:
        example = _example(target, path)
        raise ConfigError(f"{error}; such as --set {shlex.quote(example)}" if example else str(error)) from error
    return replaced


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every value inside a recipe that has no fields or elements with fields, by the path with which an override reaches it."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        inner: list[tuple[str, Any]] = [(field.name, getattr(value, field.name)) for field in dataclasses.fields(value)]
    elif isinstance(value, tuple) and any(map(dataclasses.is_dataclass, value)):
        inner = list(zip(names_of(value), value, strict=True))
    elif isinstance(value, Mapping) and value:
        inner = list(value.items())
    else:
        yield path, value
        return
    for name, held in inner:
        yield from leaves(held, f"{path}.{name}" if path else name)


def names_of(elements: tuple[Any, ...]) -> list[str]:
    """The name of each element of a list: its own if it has one that no other element has, else its number."""
    names = [str(getattr(element, "name", "") or getattr(element, "label", "")) for element in elements]
    return [name if name and names.count(name) == 1 else str(number) for number, name in enumerate(names)]


def as_text(value: Any) -> str:
    """A value as the text of an override: JSON; a string as it is, unless it would be read as another JSON value."""
    if isinstance(value, str) and not _is_json(value):
        return value
    return json.dumps(value, ensure_ascii=False, default=dataclasses.asdict)


# The way to a value


def _find(recipe: Any, path: str) -> _Target:
    """The target at `path`. Raises `ConfigError` if there is none; the message suggests what was probably meant."""
    target, rest = _Target((), type(recipe), recipe), path
    while rest:
        value, hint = target.value, target.hint
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            name, _, rest = rest.partition(".")
            hints = typing.get_type_hints(type(value))
            if name not in hints:
                raise ConfigError(f"--set {path}: {_no_field(recipe, path, name, list(hints))}")
            target = target.inside(name, hints[name], getattr(value, name))
        elif isinstance(value, tuple):
            if not value:
                raise ConfigError(_set_itself(target, path.removesuffix(f".{rest}"), "is an empty list"))
            number, rest = _element(value, rest, path)
            target = target.inside(number, _inner(hint, tuple), value[number])
        elif isinstance(value, Mapping):
            inner = _inner(hint, *_MAPPINGS)
            key, rest = _key(value, inner, rest)
            target = target.inside(key, inner, value.get(key, {} if typing.get_origin(inner) in _MAPPINGS else None))
        else:
            raise ConfigError(_set_itself(target, path.removesuffix(f".{rest}"), f"is {as_text(value)}, which has no fields"))
    return target


def _no_field(recipe: Any, path: str, name: str, fields: list[str]) -> str:
    if new := new_name_of(path):
        return f"this field was renamed to {new}"
    if difflib.get_close_matches(name, fields, n=1):
        return unknown("field", name, sorted(fields))
    elsewhere = [known for known, _ in leaves(recipe) if known.rpartition(".")[2] == name]
    section = path.rpartition(name)[0]
    elsewhere = [known for known in elsewhere if known.startswith(section)] or elsewhere
    hint = f" (did you mean {' or '.join(elsewhere)}?)" if 0 < len(elsewhere) <= _MAX_SUGGESTIONS else ""
    return f"unknown field {name!r}{hint}; allowed: {', '.join(sorted(fields))}"


def _set_itself(target: _Target, path: str, reason: str) -> str:
    """A message about a value in which an override can reach nothing."""
    holder, example = path.rpartition(".")[2], _example(target, path)
    such = "" if example in {"", f"{path}={as_text(target.value)}"} else f", such as --set {shlex.quote(example)}"
    return f"--set {path}: {holder} {reason}; set {holder} itself{such}"


def _element(elements: tuple[Any, ...], rest: str, path: str) -> tuple[int, str]:
    """The number of the element that `rest` starts with, by number, name or label, and what follows it."""
    known = {str(number): number for number in range(len(elements))}
    for attribute in ("label", "name"):
        names = [str(getattr(element, attribute, "")) for element in elements]
        known |= {name: number for number, name in enumerate(names) if name and names.count(name) == 1}
    if (start := _start(rest, known)) is not None:
        return known[start], rest[len(start) + 1 :]
    allowed = list(dict.fromkeys([*map(str, range(len(elements))), *names_of(elements)]))
    raise ConfigError(f"--set {path}: {unknown('element', rest.partition('.')[0], allowed)}")


def _key(mapping: Mapping[str, Any], inner: Any, rest: str) -> tuple[str, str]:
    """The key that `rest` starts with, and what follows it. A new key may have dots if no fields can follow it."""
    start = _start(rest, mapping)
    if start is None:
        nested = any(typing.get_origin(hint) or dataclasses.is_dataclass(hint) for hint in _options(inner))
        start = rest.partition(".")[0] if nested or inner is Any else rest
    return start, rest[len(start) + 1 :]


def _start(rest: str, names: Mapping[str, Any]) -> str | None:
    """The longest of `names` that `rest` starts with; names may have dots."""
    return max((name for name in names if f"{rest}.".startswith(f"{name}.")), key=len, default=None)


def _options(hint: Any) -> tuple[Any, ...]:
    """The types of a union; another type alone."""
    return typing.get_args(hint) if typing.get_origin(hint) in {typing.Union, types.UnionType} else (hint,)


def _inner(hint: Any, *origins: Any) -> Any:
    """The type of the elements of a tuple, or of the values of a mapping, also if it is one type of a union."""
    whole = next((option for option in _options(hint) if typing.get_origin(option) in origins), None)
    inner = typing.get_args(whole)
    return Any if not inner else inner[0] if origins == (tuple,) else inner[1]


# The value


def _typed(hint: Any, text: str, path: str) -> Any:
    # Importing pydantic takes 0.1 s, and only overrides need it.
    from pydantic import TypeAdapter, ValidationError

    try:
        value = json.loads(text)
    except ValueError:
        value = text
    _require_known_fields(hint, value, path)
    adapter = TypeAdapter(hint)
    for candidate in (value, text):
        try:
            return adapter.validate_python(candidate, strict=isinstance(candidate, bool))
        except ValidationError:
            continue
    raise ConfigError(f"--set {path}={text}: wrong type; allowed: {_in_words(hint)}")


def _require_known_fields(hint: Any, value: Any, path: str) -> None:
    """Raise `ConfigError` for a field that a config inside a JSON value does not have; pydantic would ignore it."""
    for option in _options(hint):
        if dataclasses.is_dataclass(option) and isinstance(value, Mapping):
            hints = typing.get_type_hints(option)
            for name, inner in value.items():
                if name not in hints:
                    raise ConfigError(f"--set {path}: {unknown('field', name, sorted(hints))}")
                _require_known_fields(hints[name], inner, f"{path}.{name}")
        elif isinstance(value, list):
            for number, inner in enumerate(value):
                _require_known_fields(_inner(option, tuple), inner, f"{path}.{number}")
        elif isinstance(value, Mapping):
            for name, inner in value.items():
                _require_known_fields(_inner(option, *_MAPPINGS), inner, f"{path}.{name}")


_WORDS = {int: "a whole number", float: "a number", bool: "true or false", str: "text", type(None): "null"}


def _in_words(hint: Any) -> str:
    """A type as someone who writes JSON would name it."""
    options, origin = _options(hint), typing.get_origin(hint)
    if len(options) > 1:
        return " or ".join(map(_in_words, options))
    if origin is tuple:
        return f"a list, each element {_in_words(_inner(hint, tuple))}"
    if origin in _MAPPINGS:
        return f"an object, each value {_in_words(_inner(hint, *_MAPPINGS))}"
    if origin is typing.Literal:
        return " or ".join(map(as_text, typing.get_args(hint)))
    return _WORDS.get(hint) or (f"an object with the fields of {hint.__name__}" if isinstance(hint, type) else "any JSON value")


# Examples


def _example(target: _Target, path: str) -> str:
    """An override of the same field, or of a field inside it, that is right: preferably with the present value; or nothing."""
    if not _is_empty(target.value) and len(as_text(target.value)) > _MAX_EXAMPLE and (inside := dict(leaves(target.value, path))):
        shown = {inner: value for inner, value in inside.items() if inner != path and not _is_empty(value)}
        path, value = next(iter(shown.items()), (path, target.value[:1] if isinstance(target.value, tuple) else target.value))
        return f"{path}={as_text(value)}"
    made = list(_made(target.hint))
    candidates = [*made, target.value] if _is_empty(target.value) else [target.value, *made]
    return next((f"{path}={as_text(value)}" for value in candidates if _is_right(target, value, path)), "")


def _is_right(target: _Target, value: Any, path: str) -> bool:
    try:
        target.replaced(_typed(target.hint, as_text(value), path))
    except ConfigError:
        return False
    return True


def _is_empty(value: Any) -> bool:
    return value is None or value in ((), {})


_SIMPLE: dict[Any, tuple[Any, ...]] = {int: (1000, 1), float: (0.001, 0.5, 1.0), bool: (True,), str: ("text",)}


def _made(hint: Any) -> Iterator[Any]:
    """JSON values of a type, as examples for a field that has none yet; not all fields allow each."""
    for option in _options(hint):
        if dataclasses.is_dataclass(option):
            hints = typing.get_type_hints(option)
            needed = [f.name for f in dataclasses.fields(option) if f.default is f.default_factory is dataclasses.MISSING]
            firsts = {name: next(_made(hints[name]), None) for name in needed}
            yield firsts | ({"code": "mine.py:Mine"} if "code" in firsts else {})
        elif typing.get_origin(option) is tuple:
            yield from ([value] for value in _made(_inner(option, tuple)))
        elif typing.get_origin(option) in _MAPPINGS:
            yield from ({"name": value} for value in _made(_inner(option, *_MAPPINGS)))
        yield from _SIMPLE.get(option, ())


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True

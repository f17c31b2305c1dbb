"""Lists the values of a recipe: those that differ from another recipe first, long ones folded."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from workflows.loading.overrides import as_text, leaves

MAX_VALUE = 100
"""Characters of a value that a line shows; a longer one is folded."""


def nearest(recipe: Any, others: Sequence[Any]) -> Any:
    """Of several recipes the one with the fewest different values: the one that `recipe` was probably made from."""
    own = dict(leaves(recipe))
    return min(others, key=lambda other: len(_differences(own, dict(leaves(other)))))


def recipe_lines(recipe: Any, base: Any) -> list[str]:
    """The values that differ from those of `base`, then all values; each line that is not folded can be given to `--set`."""
    own, theirs = dict(leaves(recipe)), dict(leaves(base))
    changed = _differences(own, theirs)
    first = f"recipe {recipe.name}: {len(changed)} of {len(own)} values differ from those of {base.name}"
    return [first, *_changed_lines(changed, own, theirs), "", *(f"{path} = {folded(value)}" for path, value in own.items())]


def _changed_lines(changed: Sequence[str], own: Mapping[str, object], theirs: Mapping[str, object]) -> Iterator[str]:
    for path in changed:
        if path not in own:
            yield f"  {path}: only in the other, {folded(theirs[path])}"
        else:
            other = f"there {folded(theirs[path])}" if path in theirs else "not there"
            yield f"  {path} = {folded(own[path])}  ({other})"


def _differences(own: Mapping[str, object], theirs: Mapping[str, object]) -> list[str]:
    """The paths whose values differ or that only one of both has, without the name and the description."""
    paths = [*own, *(path for path in theirs if path not in own)]
    missing = object()
    return [p for p in paths if p not in {"name", "description"} and own.get(p, missing) != theirs.get(p, missing)]


def folded(value: object) -> str:
    """A value as `--set` takes it; the beginning of a long one, with the number of its elements or characters."""
    text = as_text(value)
    if len(text) <= MAX_VALUE and text.isprintable():
        return text
    count = f"{len(value)} elements" if isinstance(value, tuple) else f"{len(text)} characters"
    start = "".join(letter if letter.isprintable() else " " for letter in text[:MAX_VALUE])
    return f"{start}… ({count}; --json shows all)"

"""Recipes: a recipe holds the configs of all stages, and so everything that determines a model, in one frozen value."""

import dataclasses
import json
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from components.alignment.config import ConversationsConfig, DPOConfig, PreferencePairsConfig, SFTConfig
from components.checks.limits import CheckLimits
from components.curation.config import CurationConfig
from components.errors import ConfigError, require, unknown
from components.evaluation.config import EvaluationConfig
from components.extensions import gathered
from components.pretraining.config import PretrainingConfig
from components.registration.config import RegistrationConfig
from components.scaling.config import ScalingConfig
from components.tokenizer.config import TokenizerConfig, TokenShardsConfig
from workflows.loading import folder_of, load, new_name_of

Whole = TypeVar("Whole")

BUILT_IN = ("tiny", "smoke", "laptop")


@dataclass(frozen=True, kw_only=True, slots=True)
class Recipe:
    """The configs of all stages. Make a variant with `dataclasses.replace`."""

    name: str
    """Name of the recipe, and of the registered model unless `registration.name` is set."""
    description: str
    """One line that `longrun recipes` shows."""
    curation: CurationConfig
    tokenizer: TokenizerConfig
    token_shards: TokenShardsConfig
    scaling: ScalingConfig
    pretraining: PretrainingConfig
    conversations: ConversationsConfig
    sft: SFTConfig
    preference_pairs: PreferencePairsConfig
    dpo: DPOConfig
    evaluation: EvaluationConfig
    registration: RegistrationConfig
    checks: CheckLimits = field(default_factory=CheckLimits)

    def __post_init__(self) -> None:
        allowed = "letters, digits, '.', '-' and '_'"
        plain = bool(self.name) and all(character.isalnum() or character in "._-" for character in self.name)
        require(plain, self, "name", self.name, allowed)
        allowed = "empty with pretraining.start, whose checkpoint brings its tokenizer"
        require(not (self.tokenizer.start and self.pretraining.start), self, "tokenizer.start", self.tokenizer.start, allowed)
        searched = [benchmark.name for benchmark in self.curation.filtering.benchmarks]
        asked = [benchmark.name for benchmark in self.evaluation.benchmarks]
        allowed = f"those of curation.filtering.benchmarks: {', '.join(searched) or 'none'}"
        require(set(asked) <= set(searched), self, "evaluation.benchmarks", asked, allowed)


def load_recipe(argument: str, overrides: Sequence[str] = ()) -> Recipe:
    """Load a recipe by its name or `file.py[:function]`, apply `section.field=value` overrides, and read its extensions' code.

    Raises:
        ConfigError: there is no such recipe, file or function; the function fails or does not return a recipe; an override is
            wrong; or an extension cannot be loaded.
    """
    recipe = load(argument, Recipe, "workflows.recipes", BUILT_IN)
    for override in overrides:
        recipe = apply_override(recipe, override)
    return gathered(recipe, folder_of(argument))


def to_json(recipe: Any) -> str:
    """A recipe or sweep as the JSON that is sent to a cluster, with the code of its extensions."""
    return json.dumps(dataclasses.asdict(recipe))


def from_json(text: str, kind: type[Whole]) -> Whole:
    """The recipe or sweep of class `kind` from the text that `to_json` made."""
    from pydantic import TypeAdapter

    return TypeAdapter(kind).validate_json(text)


def apply_override(recipe: Recipe, override: str) -> Recipe:
    """`recipe` with one field replaced by `section.field=value`; the value is JSON, or plain text for a string.

    An element of a tuple is addressed by its index from 0 or by its name, an element of a mapping by its key.

    Raises:
        ConfigError: the override is malformed, there is no such field, or the field does not allow the value.
    """
    path, separator, text = override.partition("=")
    if not separator or not path:
        raise ConfigError(f"--set {override!r}: not of the form section.field=value, such as pretraining.learning_rate=0.001")
    replaced: Recipe = _replaced(recipe, Recipe, path.split("."), text, path)
    return replaced


def _replaced(value: Any, hint: Any, names: list[str], text: str, path: str) -> Any:
    """`value`, of type `hint`, with the element at the path `names` inside it replaced."""
    if not names:
        return _typed(hint, text, path)
    name, deeper = names[0], names[1:]
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        hints = typing.get_type_hints(type(value))
        _require_field(name, hints, path)
        return dataclasses.replace(value, **{name: _replaced(getattr(value, name), hints[name], deeper, text, path)})
    if isinstance(value, Mapping):
        return {**value, name: _replaced(value.get(name), _inner(hint, dict), deeper, text, path)}
    if isinstance(value, tuple):
        index = _index(value, name, path)
        return (*value[:index], _replaced(value[index], _inner(hint, tuple), deeper, text, path), *value[index + 1 :])
    holder = path.removesuffix("".join(f".{inner}" for inner in names)).rpartition(".")[2]
    raise ConfigError(f"--set {path}: {holder} is {value!r}, which has no fields; set {holder} itself")


def _require_field(name: str, hints: Mapping[str, Any], path: str) -> None:
    if name not in hints:
        if new := new_name_of(path):
            raise ConfigError(f"--set {path}: this field was renamed to {new}")
        raise ConfigError(f"--set {path}: {unknown('field', name, sorted(hints))}")


def _index(elements: tuple[Any, ...], name: str, path: str) -> int:
    """Index of the element that an index or a name refers to; extensions have the name that reports show."""
    names = [str(getattr(element, "label", "") or getattr(element, "name", "")) for element in elements]
    if name.isdecimal() and int(name) < len(elements):
        return int(name)
    if name and names.count(name) == 1:
        return names.index(name)
    allowed = [*map(str, range(len(elements))), *filter(None, names)]
    raise ConfigError(f"--set {path}: {unknown('element', name, allowed or ['none, as it is empty'])}")


def _inner(hint: Any, kind: type) -> Any:
    """The element type of a tuple or mapping, also if the type is a union with other types."""
    whole = next((option for option in (hint, *typing.get_args(hint)) if typing.get_origin(option) is kind), None)
    inner = typing.get_args(whole)
    return (inner[1] if kind is dict else inner[0]) if inner else Any


def _typed(hint: Any, text: str, path: str) -> Any:
    # Importing pydantic takes 0.1 s, and only overrides need it.
    from pydantic import TypeAdapter, ValidationError

    try:
        value = json.loads(text)
    except ValueError:
        value = text
    adapter = TypeAdapter(hint)
    for candidate in (value, text):
        try:
            return adapter.validate_python(candidate, strict=isinstance(candidate, bool))
        except ValidationError:
            continue
    raise ConfigError(f"--set {path}={text}: wrong type; allowed: {_name(hint)}")


def _name(hint: Any) -> str:
    return hint.__name__ if isinstance(hint, type) and not typing.get_args(hint) else str(hint).replace("NoneType", "None")

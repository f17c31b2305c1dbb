"""A recipe: everything that decides a model, as one frozen value made of the stages' configs."""

import dataclasses
import json
import typing
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from components.alignment.config import ConversationsConfig, DPOConfig, PreferencePairsConfig, SFTConfig
from components.checks.limits import CheckLimits
from components.curation.config import CurationConfig
from components.errors import ConfigError, require, unknown
from components.evaluation.config import EvaluationConfig
from components.pretraining.config import PretrainingConfig
from components.registration.config import RegistrationConfig
from components.scaling.config import ScalingConfig
from components.tokenizer.config import TokenizerConfig, TokenShardsConfig
from workflows.loading import load, new_name_of

BUILT_IN = ("tiny", "smoke", "laptop")


@dataclass(frozen=True, kw_only=True, slots=True)
class Recipe:
    """The configs of all stages. Make a variant with `dataclasses.replace`."""

    name: str
    """Also the name under which the model is registered, unless `registration.name` says otherwise."""
    description: str
    """One line for `longrun recipes`."""
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
        searched = [benchmark.name for benchmark in self.curation.benchmarks]
        asked = [benchmark.name for benchmark in self.evaluation.benchmarks]
        allowed = f"those of curation.benchmarks: {', '.join(searched) or 'none'}"
        require(set(asked) <= set(searched), self, "evaluation.benchmarks", asked, allowed)


def load_recipe(argument: str, overrides: Sequence[str] = ()) -> Recipe:
    """The recipe that `name` or `file.py[:function]` means, with `a.b=c` overrides applied.

    Raises:
        ConfigError: no such recipe, file or function; the function fails or returns something else; a bad override.
    """
    recipe = load(argument, Recipe, "workflows.recipes", BUILT_IN)
    for override in overrides:
        recipe = apply_override(recipe, override)
    return recipe


def to_json(recipe: Recipe) -> str:
    """`recipe` as the text in which it travels to a cluster."""
    return json.dumps(dataclasses.asdict(recipe))


def from_json(text: str) -> Recipe:
    """The recipe that `to_json` made `text` of."""
    from pydantic import TypeAdapter

    return TypeAdapter(Recipe).validate_json(text)


def apply_override(recipe: Recipe, override: str) -> Recipe:
    """`recipe` with one value replaced, as `section.field=value`; values are JSON, or plain text for strings.

    Raises:
        ConfigError: the form, the field or the type is wrong, or the config refuses the value.
    """
    path, separator, text = override.partition("=")
    if not separator or not path:
        raise ConfigError(f"--set {override!r}: the form is section.field=value, such as pretraining.learning_rate=0.001")
    return _replaced(recipe, path.split("."), text, path)


def _replaced(config: Any, names: list[str], text: str, path: str) -> Any:
    name, deeper = names[0], names[1:]
    hints = typing.get_type_hints(type(config))
    if name not in hints:
        if new := new_name_of(path):
            raise ConfigError(f"--set {path}: {path} is called {new} now")
        raise ConfigError(f"--set {path}: {unknown('field', name, sorted(hints))}")
    if not deeper:
        return dataclasses.replace(config, **{name: _typed(hints[name], text, path)})
    inner = getattr(config, name)
    if not dataclasses.is_dataclass(inner):
        raise ConfigError(f"--set {path}: {name} has no fields; it is {inner!r}")
    return dataclasses.replace(config, **{name: _replaced(inner, deeper, text, path)})


def _typed(hint: Any, text: str, path: str) -> Any:
    # pydantic costs 0.1 s to import, and only overrides need it
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
    raise ConfigError(f"--set {path}={text}: allowed is {_name(hint)}")


def _name(hint: Any) -> str:
    return hint.__name__ if isinstance(hint, type) and not typing.get_args(hint) else str(hint).replace("NoneType", "None")

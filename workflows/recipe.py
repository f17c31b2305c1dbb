"""Recipes: a recipe holds the configs of all stages, and so everything that determines a model, in one frozen value."""

import dataclasses
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from components.alignment.config import ConversationsConfig, DPOConfig, PreferencePairsConfig, SFTConfig
from components.checks.limits import CheckLimits
from components.curation.config import CurationConfig
from components.errors import require
from components.evaluation.config import EvaluationConfig
from components.extensions import gathered
from components.pretraining.config import PretrainingConfig
from components.registration.config import RegistrationConfig
from components.scaling.config import ScalingConfig
from components.tokenizer.config import TokenizerConfig, TokenShardsConfig
from workflows.loading import apply_override, folder_of, load

Whole = TypeVar("Whole")

BUILT_IN = ("tiny", "smoke", "laptop", "one-gpu", "7b")


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
        sources, budgets = self.curation.sources, self.checks.corpus.max_duplicate_share_by_source
        self._require_among("evaluation.domain_shares", self.evaluation.domain_shares, {source.domain for source in sources})
        known = {f"{source.name} ({source.domain})" for source in sources}
        self._require_among("checks.corpus.max_duplicate_share_by_source", budgets, known)

    def _require_among(self, field: str, names: Iterable[str], known: set[str]) -> None:
        """Require that all keys of a mapping name domains or sources of the recipe."""
        for name in names:
            require(name in known, self, field, name, ", ".join(sorted(known)))

    @property
    def registered(self) -> RegistrationConfig:
        """How the model is registered, under the recipe's name unless another is given. Raises `ConfigError` for a bad name."""
        return dataclasses.replace(self.registration, name=self.registration.name or self.name)


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

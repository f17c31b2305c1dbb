"""Whether the values of a recipe that different stages read fit together."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

from components.errors import ConfigError, unknown
from workflows.preflight.question import Problem, Question, problems_of
from workflows.recipe import Recipe

MODELS = ("base", "sft", "dpo")
"""Models that evaluation measures."""


@dataclass(frozen=True, kw_only=True)
class RegistryName(Question):
    """Can the model be registered under the name of the recipe?"""

    STAGE: ClassVar[str] = "registration"

    recipe: Recipe

    def problems(self) -> Iterator[Problem]:
        """Make the config of the last stage."""
        yield from problems_of("registration.name", lambda: self.recipe.registered)


@dataclass(frozen=True, kw_only=True)
class Names(Question):
    """Do fields that name a model name one that evaluation measures?"""

    STAGE: ClassVar[str] = "evaluation"

    recipe: Recipe

    def problems(self) -> Iterator[Problem]:
        """Compare them."""
        recipe = self.recipe
        yield from _unknown("registration.model", "model", [recipe.registration.model], MODELS)
        yield from _unknown("checks.evaluation.min_models", "model", recipe.checks.evaluation.min_models, MODELS)


def _unknown(field: str, what: str, names: Iterable[str], allowed: Sequence[str]) -> Iterator[Problem]:
    for name in names:
        if name not in allowed:
            yield Problem(field, ConfigError(unknown(what, name, list(allowed))))


@dataclass(frozen=True, kw_only=True)
class Lengths(Question):
    """Do vocabulary, lengths and batches of the stages fit the shape of the model?"""

    STAGE: ClassVar[str] = "scaling"

    recipe: Recipe

    def problems(self) -> Iterator[Problem]:
        """Compare them, if the recipe sets the shape."""
        recipe, shape = self.recipe, self.recipe.pretraining.shape
        if shape is None:
            return
        if not (recipe.tokenizer.start or recipe.pretraining.start) and shape.vocab_size != recipe.tokenizer.vocab_size:
            allowed = f"that of the tokenizer, {recipe.tokenizer.vocab_size}: its regular and special tokens, rounded up"
            yield _too("pretraining.shape.vocab_size", shape.vocab_size, allowed)
        for name in ("sft", "dpo"):
            length = getattr(recipe, name).max_length
            if length is not None and length > shape.context:
                yield _too(f"{name}.max_length", length, f"at most the model's context of {shape.context}, or None")
        sampled = "author-vs-sample" in recipe.preference_pairs.kinds
        if sampled and recipe.preference_pairs.max_new_tokens >= shape.context:
            limit = recipe.preference_pairs.max_new_tokens
            yield _too("preference_pairs.max_new_tokens", limit, f"below the model's context of {shape.context}")


@dataclass(frozen=True, kw_only=True)
class Counts(Question):
    """Do the maximum numbers of a stage allow the minimum numbers of its check, and batches for its workers?"""

    STAGE: ClassVar[str] = "sft"

    recipe: Recipe

    def problems(self) -> Iterator[Problem]:
        """Compare them."""
        recipe, checks = self.recipe, self.recipe.checks
        for section, limit, names in (
            ("conversations", "min_conversations_per_split", ("max_conversations", "max_validation_conversations")),
            ("preference_pairs", "min_pairs_per_split", ("max_pairs_per_kind", "max_validation_pairs_per_kind")),
        ):
            minimum = getattr(getattr(checks, section), limit)
            for name in names:
                maximum = getattr(getattr(recipe, section), name)
                if maximum < minimum:
                    yield _too(f"{section}.{name}", maximum, f"at least checks.{section}.{limit}, {minimum}; or lower that limit")
        for name in ("sft", "dpo"):
            size, workers = getattr(recipe, name).batch_size, getattr(recipe, name).training.workers
            if size < workers:
                yield _too(f"{name}.batch_size", size, f"at least one item for each of {workers} workers")


def _too(field: str, value: object, allowed: str) -> Problem:
    return Problem("", ConfigError(f"{field} is {value!r}; allowed: {allowed}"))

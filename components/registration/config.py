"""The config of registration: the name of the model, and the contents of its card."""

import re
from dataclasses import dataclass

from components.errors import require

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


VERDICTS = ("warn", "block")

CARD = "README.md"
"""Name of the model card in the registered directory."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RegistrationConfig:
    """How the last checkpoint of a recipe is registered."""

    name: str = ""
    """Name in the registry, as in `NAME/VERSION` and `NAME@ALIAS`; empty: the name of the recipe."""
    alias: str = "candidate"
    """Alias that is set to the new version."""
    model: str = "dpo"
    """Name of the checkpoint in the evaluation report; the promotion rule uses its results."""
    verdict: str = "warn"
    """If the result of the base model is above the interval that its plan's law predicted: "warn" notes it on the model card;
    "block" refuses the registration."""
    licence: str = "other"
    """Licence of the weights, as an identifier of the Hugging Face hub (huggingface.co/docs/hub/repositories-licenses)."""
    intended_use: str = (
        "Research into how language models are trained: the model shows what its recipe yields. It was not trained to be "
        "truthful or harmless, and must not be used to make decisions about people."
    )
    """Text of the section "Intended use and limits" of the model card."""

    def __post_init__(self) -> None:
        allowed = "letters, digits, '.', '-' and '_', starting with a letter or digit"
        require(not self.name or bool(_NAME.fullmatch(self.name)), self, "name", self.name, f"{allowed}, or empty")
        require(bool(_NAME.fullmatch(self.alias)), self, "alias", self.alias, allowed)
        require(self.verdict in VERDICTS, self, "verdict", self.verdict, ", ".join(VERDICTS))
        require(bool(self.model), self, "model", self.model, "the name of a model in the evaluation report")
        require(bool(self.licence), self, "licence", self.licence, "a licence identifier, such as apache-2.0 or other")

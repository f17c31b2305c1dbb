"""The name under which a model is registered, and what its card says about its use."""

import re
from dataclasses import dataclass

from components.errors import require

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


VERDICTS = ("warn", "block")


@dataclass(frozen=True, kw_only=True, slots=True)
class RegistrationConfig:
    """How the last checkpoint of a recipe becomes a registered model."""

    name: str = ""
    """Name in the registry, as in `NAME/VERSION` and `NAME@ALIAS`; empty takes the recipe's."""
    alias: str = "candidate"
    """Alias that moves to the new version."""
    model: str = "dpo"
    """What the checkpoint is called in the evaluation report; the promotion rule looks at its figures."""
    verdict: str = "warn"
    """What happens to a base model whose figure is above the interval that the law of its plan predicted: "warn" says so on the
    card, "block" refuses the registration."""
    licence: str = "other"
    """Licence of the weights as the Hugging Face hub names it (huggingface.co/docs/hub/repositories-licenses)."""
    intended_use: str = (
        "Research into how language models are trained: the model shows what its recipe yields. It was not trained to be "
        "truthful or harmless, and it is no basis for decisions about people."
    )
    """What the card says the model is for."""

    def __post_init__(self) -> None:
        allowed = "letters, digits, '.', '-' and '_', beginning with a letter or digit"
        require(not self.name or bool(_NAME.fullmatch(self.name)), self, "name", self.name, f"{allowed}, or empty")
        require(bool(_NAME.fullmatch(self.alias)), self, "alias", self.alias, allowed)
        require(self.verdict in VERDICTS, self, "verdict", self.verdict, ", ".join(VERDICTS))
        require(bool(self.model), self, "model", self.model, "the name of a model in the evaluation report")
        require(bool(self.licence), self, "licence", self.licence, "a licence identifier, such as apache-2.0 or other")

"""The plan for what accelerators compute in a given time, and what limits it, as text and as JSON."""

import dataclasses
from dataclasses import dataclass

from components.files import JSON
from components.scaling.planning.proposal import Proposal
from components.scaling.planning.timed import MAX_EPOCHS
from workflows.commands.plan import line, plan_lines

BYTES_PER_TOKEN = 4.0
"""UTF-8 bytes of English per token of a vocabulary of 100 000, about, where no law of a text says it
(https://help.openai.com/en/articles/4936856-what-are-tokens-and-how-to-count-them)."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ComputeAnswer:
    """The plan for the compute of accelerators in a time, and what limits it."""

    proposal: Proposal
    more: Proposal
    """The plan for a tenth more time."""
    text_bytes: float | None

    @property
    def epochs(self) -> float | None:
        """How often the text would be seen, about; None: its size is not known."""
        return None if self.text_bytes is None else self.proposal.plan.tokens * BYTES_PER_TOKEN / self.text_bytes

    @property
    def gain(self) -> float | None:
        """What a tenth more time would bring in the figure that the law predicts; None: it predicts none."""
        now, then = self.proposal.plan.prediction, self.more.plan.prediction
        return None if now is None or then is None else now.loss - then.loss

    def as_json(self) -> dict[str, JSON]:
        """The plan, with its limits."""
        plan, more = self.proposal.plan, self.more.plan
        limits: dict[str, JSON] = {
            "a_tenth_more_time": {"tokens": more.tokens, "shape": dataclasses.asdict(more.shape), "gain": self.gain},
            "epochs": self.epochs,
            "memory_share": self._memory_share(),
            "compute": plan.compute,
        }
        return {**self.proposal.as_json(), "limits": limits}

    def lines(self) -> list[str]:
        """For a reader."""
        plan, more = self.proposal.plan, self.more.plan
        larger = more.flops_per_token["non_embedding"] / plan.flops_per_token["non_embedding"]
        change = f"{larger:.3f} times the FLOPs per token on {more.tokens / plan.tokens:.3f} times the tokens"
        brings = change if self.gain is None else f"{self.gain:.4f} less {plan.predicted_figure}, with {change}"
        return [
            *plan_lines(self.proposal),
            line("limited by time", f"a tenth more brings {brings}"),
            *self._text_lines(),
            *self._memory_lines(),
        ]

    def _text_lines(self) -> list[str]:
        if self.epochs is None:
            return []
        epochs = self.epochs
        limits = "limited by text" if epochs > MAX_EPOCHS else "text"
        beyond = f": more than {MAX_EPOCHS:g} teach little (arXiv 2305.16264)" if epochs > MAX_EPOCHS else ""
        return [line(limits, f"{epochs:.2f} epochs at {BYTES_PER_TOKEN:g} bytes per token{beyond}")]

    def _memory_lines(self) -> list[str]:
        layout, share = self.proposal.layout, self._memory_share()
        if layout is None or share is None:
            return []
        divided = layout.workers_per_replica > 1 or self.proposal.activation_checkpointing != "none"
        why = ": one accelerator cannot hold the model" if divided else ""
        return [line("limited by memory" if divided else "memory", f"{share:.0%} of what an accelerator has for training{why}")]

    def _memory_share(self) -> float | None:
        extra = self.proposal.accelerators
        return None if extra is None else self.proposal.plan.memory_bytes / extra.memory_bytes

"""The losses of fine-tuning and preference optimisation, as `components.training.loop.Objective`.

Shapes: E examples, T tokens, D d_model, N tokens with a loss, V vocabulary, P pairs (E = 2 P: all chosen answers, then all
rejected).
"""

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from components.alignment.batches import IGNORED
from components.model.decoder import Decoder
from components.model.loss import cross_entropy
from components.training.loop import Batch, Terms


def answer_losses(model: nn.Module, batch: Batch) -> Tensor:
    """Cross-entropy in nats of each answer token, row by row: N, fp32.

    Only these tokens pass through the head, which is the most expensive matrix of a small model.
    """
    learned_ET = batch["targets"] != IGNORED
    decoder = cast(Decoder, model)
    logits_NV = decoder.head(decoder.hidden(batch["tokens"])[learned_ET])
    return cross_entropy(logits_NV, batch["targets"][learned_ET], reduction="none")


def answer_log_probabilities(model: nn.Module, batch: Batch) -> Tensor:
    """log π(answer | prompt) of each example in nats, summed over the tokens of its answers: E, fp32."""
    losses_N = answer_losses(model, batch)
    example_N = (batch["targets"] != IGNORED).nonzero()[:, 0]
    return losses_N.new_zeros(len(batch["targets"])).index_add(0, example_N, -losses_N)


class AnswerLoss:
    """The objective of SFT: cross-entropy of the answers; prompts are masked. A loss term is a token of an answer."""

    def weight(self, batch: Batch) -> float:
        """Number of answer tokens in the micro-batch."""
        return float((batch["targets"] != IGNORED).sum())

    def __call__(self, model: nn.Module, batch: Batch) -> Terms:
        """The summed loss of one micro-batch."""
        return Terms(answer_losses(model, batch).sum(), {})


def preference_losses(margins_P: Tensor) -> Tensor:
    """-log σ(reward margin) of each pair (DPO, arXiv 2305.18290, equation 7)."""
    return -F.logsigmoid(margins_P)


def reward_margins(policy_E: Tensor, reference_E: Tensor, beta: float) -> Tensor:
    """The implicit reward β log(π/π_ref) (DPO, section 4) of each chosen answer minus that of the rejected one: P."""
    chosen_P, rejected_P = (beta * (policy_E - reference_E)).chunk(2)
    return chosen_P - rejected_P


class PreferenceLoss:
    """The objective of DPO, with a frozen reference model. A loss term is a pair.

    The reference model runs on the same micro-batches and in the same precision as the policy, so that the margins of the first
    step are exactly 0. With one epoch, each pair occurs once, so precomputing would save nothing.
    """

    def __init__(self, reference: Decoder, beta: float) -> None:
        """Take over `reference`, which is later moved to the device and dtype of the policy."""
        self.reference = reference.requires_grad_(False).eval()
        self.beta = beta

    def weight(self, batch: Batch) -> float:
        """Number of pairs in the micro-batch."""
        return len(batch["tokens"]) / 2

    def __call__(self, model: nn.Module, batch: Batch) -> Terms:
        """The summed loss of one micro-batch, the sum of margins, and the number of correctly ranked pairs (ties count half)."""
        self.reference.to(next(model.parameters()))
        with torch.no_grad():
            reference_E = answer_log_probabilities(self.reference, batch)
        margins_P = reward_margins(answer_log_probabilities(model, batch), reference_E, self.beta)
        detached_P = margins_P.detach()
        figures = {"reward_margin": detached_P.sum(), "reward_accuracy": (detached_P.sign() + 1).sum() / 2}
        return Terms(preference_losses(margins_P).sum(), figures)

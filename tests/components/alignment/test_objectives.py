"""The losses against values worked out by hand, and what must not influence them."""

import math

import pytest
import torch

from components.alignment.batches import IGNORED
from components.alignment.objectives import (
    AnswerLoss,
    PreferenceLoss,
    answer_log_probabilities,
    preference_losses,
    reward_margins,
)
from components.artifacts import ModelShape
from components.model.decoder import Decoder, initialise

SHAPE = ModelShape(n_layer=2, d_model=32, n_head=2, n_kv_head=2, d_ffn=64, vocab_size=64, context=16)


def model(seed: int = 0) -> Decoder:
    """A small decoder whose logits are far from equal."""
    decoder = Decoder(SHAPE)
    initialise(decoder, std=0.3, seed=seed)
    return decoder


def batch() -> dict[str, torch.Tensor]:
    """Two pairs of different lengths, padded on the right."""
    tokens = torch.tensor([[1, 5, 9, 7, 0, 0], [1, 6, 8, 3, 4, 2], [1, 5, 9, 11, 12, 0], [1, 6, 8, 13, 0, 0]])
    i = IGNORED
    targets = torch.tensor([[i, i, 7, 2, i, i], [i, i, 3, 4, 2, 9], [i, i, 11, 12, 2, i], [i, i, 13, 2, i, i]])
    return {"tokens": tokens, "targets": targets}


def test_the_loss_of_equation_7_is_the_one_worked_out_by_hand() -> None:
    # Policy: log π(chosen) = -10, log π(rejected) = -12; reference: -11 and -11.5; β = 0.1.
    # Rewards: 0.1 · (-10 + 11) = 0.1 and 0.1 · (-12 + 11.5) = -0.05, so the margin is 0.15 and the loss -ln σ(0.15) = 0.620957.
    margins = reward_margins(torch.tensor([-10.0, -12.0]), torch.tensor([-11.0, -11.5]), beta=0.1)
    assert margins.tolist() == pytest.approx([0.15])
    assert preference_losses(margins).tolist() == pytest.approx([math.log(1 + math.exp(-0.15))])
    assert preference_losses(margins).item() == pytest.approx(0.620957, abs=1e-6)


def test_the_gradient_of_the_loss_is_the_papers_weight() -> None:
    # Section 4 of the DPO paper: the gradient is -β σ(r̂(rejected) - r̂(chosen)) times that of the log-probability margin.
    policy = torch.tensor([-10.0, -12.0], requires_grad=True)
    preference_losses(reward_margins(policy, torch.tensor([-11.0, -11.5]), beta=0.1)).sum().backward()
    weight = 0.1 / (1 + math.exp(0.15))
    assert policy.grad is not None
    assert policy.grad.tolist() == pytest.approx([-weight, weight])


def test_log_probabilities_are_sums_over_the_answers_tokens_alone() -> None:
    decoder, given = model(), batch()
    log_p = torch.log_softmax(decoder(given["tokens"]), -1).detach()
    expected = [
        sum(float(log_p[row, position, target]) for position, target in enumerate(targets) if target != IGNORED)
        for row, targets in enumerate(given["targets"].tolist())
    ]
    assert answer_log_probabilities(decoder, given).tolist() == pytest.approx(expected, rel=1e-5)


def test_an_example_without_a_learned_token_has_log_probability_0() -> None:
    given = batch()
    given["targets"][1] = IGNORED
    actual = answer_log_probabilities(model(), given)
    assert (actual == 0).tolist() == [False, True, False, False]


def test_padding_changes_no_log_probability() -> None:
    decoder, given = model(), batch()
    padded = {
        "tokens": torch.nn.functional.pad(given["tokens"], (0, 5), value=33),
        "targets": torch.nn.functional.pad(given["targets"], (0, 5), value=IGNORED),
    }
    actual, expected = (answer_log_probabilities(decoder, examples) for examples in (padded, given))
    torch.testing.assert_close(actual, expected)


def test_the_answer_loss_is_a_sum_over_learned_tokens_and_its_weight_their_number() -> None:
    terms = AnswerLoss()(model(), batch())
    assert AnswerLoss().weight(batch()) == 11
    log_probability = answer_log_probabilities(model(), batch()).detach().sum()
    assert float(terms.loss.detach()) == pytest.approx(-float(log_probability), rel=1e-5)


def test_nothing_is_learned_of_the_prompt() -> None:
    decoder, given = model(), batch()
    AnswerLoss()(decoder, given).loss.backward()
    gradient = decoder.head.weight.grad
    assert gradient is not None
    # A token that is a target only in prompts is pushed down everywhere: the head's gradient never raises it.
    hidden = decoder.hidden(given["tokens"])[given["targets"] != IGNORED]
    expected = torch.softmax(decoder.head(hidden), -1)[:, 5] @ hidden
    torch.testing.assert_close(gradient[5], expected)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_first_step_has_margins_of_exactly_0_in_the_precision_of_training(dtype: torch.dtype) -> None:
    objective = PreferenceLoss(model(), beta=0.1)
    terms = objective(model().to(dtype), batch())
    assert objective.weight(batch()) == 2
    assert float(terms.loss.detach()) == pytest.approx(2 * math.log(2))
    assert {name: float(value) for name, value in terms.figures.items()} == {"reward_margin": 0.0, "reward_accuracy": 1.0}


def test_no_gradient_reaches_the_reference_and_one_reaches_every_weight_of_the_policy() -> None:
    policy, objective = model(seed=1), PreferenceLoss(model(), beta=0.1)
    before = {name: tensor.clone() for name, tensor in objective.reference.state_dict().items()}
    objective(policy, batch()).loss.backward()
    assert all(parameter.grad is not None for parameter in policy.parameters())
    assert all(parameter.grad is None for parameter in objective.reference.parameters())
    assert all(torch.equal(tensor, before[name]) for name, tensor in objective.reference.state_dict().items())


def test_a_step_against_the_gradient_raises_the_margin() -> None:
    policy, objective = model(), PreferenceLoss(model(), beta=0.1)
    objective(policy, batch()).loss.backward()
    with torch.no_grad():
        for parameter in policy.parameters():
            parameter -= 1e-3 * parameter.grad
    assert float(objective(policy, batch()).figures["reward_margin"]) > 0

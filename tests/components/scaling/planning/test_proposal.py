"""Plans on accelerators: shapes that divide and fit, time, cost and energy, the paper's own models."""

import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from components.errors import ConfigError
from components.flops import non_embedding_flops_per_token
from components.hardware import GPUS
from components.scaling.config import Accelerators, ScalingConfig
from components.scaling.laws.published import LAWS
from components.scaling.planning.planner import Planner
from components.scaling.planning.proposal import PAPER_MODELS, Proposal, propose
from components.training.config import Choices, TrainingConfig


def proposal(
    compute: float | None,
    accelerators: Accelerators | None,
    choices: Choices = Choices(training=TrainingConfig(micro_batch_tokens=1)),  # noqa: B008
) -> Proposal:
    return propose(
        Planner(config=ScalingConfig(compute=compute), choices=choices, vocab_size=102_400, law=LAWS["deepseek"]), accelerators
    )


def test_hours_cost_and_energy_follow_from_compute_and_utilisation() -> None:
    said = proposal(1e21, Accelerators(gpus=64, mfu=0.4, price=2.5)).as_json()
    cluster = said["cluster"]
    assert cluster["hours"] == pytest.approx(said["compute"] / (64 * 989e12 * 0.4) / 3600)
    assert cluster["cost"] == pytest.approx(64 * cluster["hours"] * 2.5)
    assert cluster["energy_kwh"] == pytest.approx(64 * cluster["hours"] * 0.7)


def test_no_price_no_cost_and_no_accelerators_no_hours() -> None:
    assert proposal(1e21, Accelerators(gpus=64)).as_json()["cluster"]["cost"] is None
    assert proposal(1e21, None).as_json()["cluster"] is None


@pytest.mark.long
@settings(max_examples=25, deadline=None, derandomize=True)
@given(exponent=st.floats(18, 25), gpus=st.sampled_from([8, 64, 96, 512, 2048]), gpu=st.sampled_from(["h100", "h200", "a100"]))
def test_whatever_is_proposed_divides_fits_and_spends_the_budget(exponent: float, gpus: int, gpu: str) -> None:
    try:
        made = proposal(10**exponent, Accelerators(gpus=gpus, gpu=gpu))
    except ConfigError as refusal:
        assert "no layout of" in str(refusal)  # noqa: PT017
        return
    assert made.layout is not None
    assert made.layout in [layout for layout, _ in made.layouts]
    for layout, memory in made.layouts:
        assert not layout.misfit(made.plan.shape)
        assert made.plan.batch_size % layout.replicas == 0
        assert layout.workers == gpus
        assert memory <= 0.9 * GPUS[gpu].memory_bytes
    assert made.plan.compute == pytest.approx(10**exponent, rel=0.01)
    scale = non_embedding_flops_per_token(made.plan.shape, 4096)
    assert scale == pytest.approx(made.plan.law["non_embedding_flops_per_token"], rel=0.5)


def test_the_papers_67b_fits_on_its_scale_of_cluster_only_split() -> None:
    choices = dataclasses.replace(PAPER_MODELS["67b"], training=TrainingConfig(micro_batch_tokens=1))
    made = proposal(None, Accelerators(gpus=2048, gpu="h200"), choices)
    assert made.layout is not None
    assert made.layout.tensor * made.layout.pipeline >= 4
    assert made.activation_checkpointing == "none"
    # On smaller ones only where layers compute again what each tensor part has of all norms
    smaller = proposal(None, Accelerators(gpus=2048, gpu="h100"), choices)
    assert smaller.activation_checkpointing != "none"
    assert smaller.plan.memory_bytes < 0.9 * 80e9 < made.plan.memory_bytes
    assert made.plan.law["learning_rate"] == pytest.approx(3.12e-4, rel=2e-3)
    assert made.plan.learning_rate == 3.2e-4


def test_a_model_that_nothing_holds_is_refused_with_what_it_needs() -> None:
    with pytest.raises(
        ConfigError, match=r"no layout of 1 x h100 with 80 GB holds the plan: the least needs \d+ GB a rank; allowed"
    ):
        proposal(1e24, Accelerators(gpus=1))


def test_gpus_that_divide_neither_shape_nor_batch_are_refused() -> None:
    chosen = dataclasses.replace(PAPER_MODELS["7b"], batch_size=7)
    with pytest.raises(ConfigError, match="none divides shape and batch"):
        proposal(None, Accelerators(gpus=13), chosen)

"""The published laws and the figures that the paper's models make of them."""

import pytest

from components.errors import ConfigError
from components.scaling.laws import LAWS, PLANNING, can_plan
from components.scaling.plan import law_values


@pytest.mark.parametrize(("compute", "learning_rate", "sequences"), [(8.45e22, 4.25e-4, 2251), (9.94e23, 3.12e-4, 5042)])
def test_the_hyper_parameter_law_gives_the_figures_of_the_papers_models(
    compute: float, learning_rate: float, sequences: int
) -> None:
    says = law_values(LAWS["deepseek"], compute)
    assert says["learning_rate"] == pytest.approx(learning_rate, rel=1e-3)
    assert round(says["batch_tokens"] / 4096) == sequences


def test_the_allocation_law_says_that_the_7b_is_not_compute_optimal() -> None:
    says = law_values(LAWS["deepseek"], 8.45e22)
    assert says["non_embedding_flops_per_token"] == pytest.approx(1.80e11, rel=2e-3)
    assert says["tokens"] == pytest.approx(4.70e11, rel=1e-3)


def test_model_and_data_share_the_budget_in_every_law() -> None:
    assert all(law.model.exponent + law.tokens.exponent == pytest.approx(1.0) for law in LAWS.values())
    says = law_values(LAWS["deepseek"], 1e19)
    assert says["non_embedding_flops_per_token"] * says["tokens"] == pytest.approx(1e19, rel=1e-3)


def test_a_law_without_coefficients_is_for_comparison_and_refuses_values() -> None:
    assert PLANNING == ("deepseek",)
    assert not can_plan(LAWS["chinchilla"])
    with pytest.raises(ConfigError, match=r"exponent 0\.49 only"):
        LAWS["chinchilla"].model.at(1e20)
    with pytest.raises(ConfigError, match="comparison only"):
        law_values(LAWS["openai"], 1e20)


def test_every_law_names_its_source_and_data() -> None:
    assert all(law.source and law.data and name == law.name for name, law in LAWS.items())

"""The published laws and the figures that the paper's models make of them."""

import pytest

from components.errors import ConfigError
from components.flops import SCALES
from components.scaling.laws.published import LAWS, PLANNING, can_plan, law_values


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


def test_a_law_of_exponents_alone_is_for_comparison_and_refuses_values() -> None:
    assert PLANNING == ("deepseek", "kaplan", "chinchilla", "chinchilla-replicated")
    for name in ("deepseek-early", "deepseek-openwebtext2"):
        assert not can_plan(LAWS[name])
        with pytest.raises(
            ConfigError, match=f"of the law {name} only exponents were published.*comparison only.*deepseek, kaplan"
        ):
            law_values(LAWS[name], 1e20)
    with pytest.raises(ConfigError, match=r"exponent 0\.45 only"):
        LAWS["deepseek-early"].model.at(1e20)


@pytest.mark.parametrize(
    ("parameters", "compute", "tokens"),
    [(4e8, 1.84e19, 7.7e9), (1e9, 1.20e20, 20.0e9), (1e10, 1.32e22, 219.5e9), (1e12, 1.59e26, 26.5e12)],
)
def test_chinchillas_law_gives_the_rows_of_its_table(parameters: float, compute: float, tokens: float) -> None:
    says = law_values(LAWS["chinchilla"], compute)
    assert says["parameters"] == pytest.approx(parameters, rel=0.005)
    assert says["tokens"] == pytest.approx(tokens, rel=0.01)


def test_kaplans_law_agrees_with_its_own_steps_and_batch() -> None:
    says = law_values(LAWS["kaplan"], 8.64e19)
    assert says["non_embedding_parameters"] == pytest.approx(1.3e9)
    assert says["batch_tokens"] == pytest.approx(2.0e6)
    assert says["tokens"] == pytest.approx(2.0e6 * 5.4e3, rel=0.03)  # B_e · S_e of the same table


def test_the_replication_spends_twenty_tokens_on_a_parameter_at_chinchillas_budget() -> None:
    says = law_values(LAWS["chinchilla-replicated"], 5.76e23)
    assert says["tokens"] / says["parameters"] == pytest.approx(20, rel=0.15)


@pytest.mark.parametrize("name", PLANNING)
def test_the_law_spends_the_whole_budget_as_it_counts_it(name: str) -> None:
    law = LAWS[name]
    for compute in (1e17, 1e21, 1e25):
        says = law_values(law, compute)
        assert SCALES[law.scale] * says[law.scale] * says["tokens"] == pytest.approx(compute, rel=0.01)


def test_deepseeks_hyper_parameters_stand_in_where_a_law_gives_none() -> None:
    ours, theirs = law_values(LAWS["chinchilla"], 1e20), law_values(LAWS["deepseek"], 1e20)
    assert all(ours[name] == theirs[name] for name in ("batch_tokens", "learning_rate"))


def test_every_law_names_its_source_and_data() -> None:
    assert all(law.source and law.data and name == law.name for name, law in LAWS.items())

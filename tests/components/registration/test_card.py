"""What the model card says."""

import dataclasses

import pytest
import yaml

from components.registration.card import Facts, model_card, nodes
from components.registration.config import RegistrationConfig
from tests.components.registration.conftest import PASSED, REPORT, lineage

CONFIG = RegistrationConfig(name="smoke")
FACTS = Facts(report=REPORT, lineage=lineage(), checks=(PASSED,), parameters=1_800_000)


@pytest.fixture(scope="module")
def card():
    return model_card(CONFIG, FACTS)


def test_the_front_matter_is_yaml_that_the_hub_reads(card):
    _, front, body = card.split("---\n", 2)
    assert yaml.safe_load(front) == {
        "license": "other",
        "library_name": "transformers",
        "pipeline_tag": "text-generation",
        "tags": ["longrun", "llama"],
        "language": ["en"],
    }
    assert body.lstrip().startswith("# smoke\n")


def test_sources_and_licences_are_added_up(card):
    assert "| python-environment: | code | 8 | 9,000 |" in card
    assert "| MIT | 9 | 10,000 |" in card
    assert "| not stated | 2 | 3,000 |" in card


def test_the_plan_stands_beside_the_law(card):
    assert "| learning_rate | 0.001 | 0.0023 |" in card
    assert "| tokens | 1,000,000 | – |" in card
    assert "| notes | small; extrapolated | – |" in card


def test_the_evaluation_shows_models_and_baselines(card):
    assert "| dpo | 2.100 | 2.300 | 2.200 |" in card
    assert "| zlib-9 | 2.000 | 3.900 | 2.950 |" in card
    assert "| answer-choice | acc_norm | dpo | 40.0% | 25.0% | 50 |" in card


def test_benchmarks_stand_on_all_and_on_clean_items_with_what_documents_held(card):
    assert "| quiz | acc | dpo | 45.0% | 44.0% | 25.0% | 1,200 | 1,160 |" in card
    assert "| quiz | 1,200 | 30 | 10 | 41 |" in card


def test_a_benchmark_without_clean_items_has_no_score_on_them():
    quiz = {**REPORT["tasks"][1], "clean_value": None, "clean_items": 0}
    card = model_card(CONFIG, dataclasses.replace(FACTS, report=REPORT | {"tasks": [quiz]}))
    assert "| quiz | acc | dpo | 45.0% | – | 25.0% | 1,200 | 0 |" in card


def test_checks_digests_and_raw_sources_are_listed(card):
    assert "| corpus | passed | 1 |" in card
    assert "| curation | Corpus | `digest-of-curation` | `code-of-curation` |" in card
    assert "`environment-1`" in card
    assert "| python-environment: | 12 | 13,000 | raw-digest |" in card


def test_it_says_how_to_load_the_model(card):
    assert "AutoModelForCausalLM.from_pretrained" in card
    assert 'longrun generate smoke "Hello"' in card


def test_a_bar_in_a_name_does_not_break_a_table(card):
    assert "| file:books\\|old | prose | 1 | 1,000 |" in card


def test_nothing_tells_where_files_lay(card):
    assert "/home/" not in card


def test_an_artifact_used_twice_is_listed_once():
    assert [node["step"] for node in nodes(lineage())] == ["dpo", "scaling", "curation"]


def test_a_lineage_that_says_little_is_enough():
    facts = dataclasses.replace(FACTS, lineage={"step": "dpo"}, report=REPORT | {"tasks": [], "contamination": []})
    card = model_card(RegistrationConfig(), facts)
    assert "no training plan" in card
    assert "not recorded" in card
    assert "enchmarks" not in card


def test_what_the_law_predicted_stands_beside_what_came_out():
    verdict = {
        "figure": "bits_per_byte",
        "predicted": 2.1,
        "low": 2.0,
        "high": 2.2,
        "actual": 2.31,
        "place": "above",
        "excess": 0.1,
    }
    card = model_card(CONFIG, dataclasses.replace(FACTS, verdicts=(verdict,)))
    assert "predicted 2.1000 bits per byte" in card
    assert "2.3100 came out: above the interval, 10.00% above the prediction" in card


def test_without_a_prediction_the_card_speaks_of_none(card):
    assert "Prediction" not in card

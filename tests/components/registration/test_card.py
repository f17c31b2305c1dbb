"""What the model card says."""

import dataclasses

import pytest
import yaml

from components.artifacts import Lineage, Plan
from components.registration.card import Facts, model_card
from components.registration.config import RegistrationConfig
from tests.components.artifacts.samples import FINDINGS, PLAN, VERDICT
from tests.components.registration.conftest import PASSED, lineage

CONFIG = RegistrationConfig(name="smoke")
FACTS = Facts(findings=FINDINGS, plan=PLAN, lineage=lineage(), checks=(PASSED,), parameters=1_800_000)


@pytest.fixture(scope="module")
def card():
    return model_card(CONFIG, FACTS)


@pytest.fixture(scope="module")
def planned(plan_directory):
    """The card of a model whose plan the step scaling has written."""
    return model_card(CONFIG, dataclasses.replace(FACTS, plan=Plan.read(plan_directory)))


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


def test_the_plan_stands_beside_the_law_that_it_was_made_by(planned, plan_directory):
    plan = Plan.read(plan_directory)
    rows = {cells[1].strip(): cells[2:4] for cells in (line.split("|") for line in planned.splitlines()) if len(cells) == 5}
    for name in ("learning_rate", "tokens", "batch_tokens", "non_embedding_flops_per_token"):
        chosen, law = (cell.strip() for cell in rows[name.replace("_", " ")])
        assert law == f"{plan.law[name]:.4g}"
        assert chosen not in {"–", law}
    assert rows["learning rate"][0].strip() == "0.001"
    assert rows["steps"] == [f" {plan.steps:,} ", " – "]
    assert rows["shape"] == [" 2 layers of width 32, 4 heads ", " – "]


def test_what_a_reader_must_know_of_the_plan_is_listed(planned, plan_directory):
    notes = Plan.read(plan_directory).notes
    assert notes
    assert all(f"\n- {note}\n" in planned for note in notes)


def test_a_prediction_is_a_sentence(card, planned):
    assert "The law predicted 2.1000 bits per byte (95 % interval 2.0000 to 2.2000)." in card
    assert "{" not in card.partition("## Training plan")[2].partition("##")[0]
    assert "The law predicted" not in planned


def test_the_evaluation_shows_models_and_baselines(card):
    assert "| dpo | 2.100 | 2.300 | 2.200 |" in card
    assert "| zlib-9 | 2.000 | 3.900 | 2.950 |" in card
    assert "| answer-choice | acc_norm | dpo | 40.0% | 25.0% | 50 |" in card


def test_benchmarks_stand_on_all_and_on_clean_items_with_what_documents_held(card):
    assert "| quiz | acc | dpo | 45.0% | 44.0% | 25.0% | 1,200 | 1,160 |" in card
    assert "| quiz | 1,200 | 30 | 10 | 41 |" in card


def test_a_benchmark_without_clean_items_has_no_score_on_them():
    quiz = dataclasses.replace(FINDINGS.tasks[1], clean_value=None, clean_items=0)
    card = model_card(CONFIG, dataclasses.replace(FACTS, findings=dataclasses.replace(FINDINGS, tasks=(quiz,))))
    assert "| quiz | acc | dpo | 45.0% | – | 25.0% | 1,200 | 0 |" in card


def test_checks_digests_and_raw_sources_are_listed(card):
    assert "| corpus | passed | 1 |" in card
    assert "| curation | Corpus | `content-of-curation` | `digest-of-curation` | `code-of-curation` |" in card
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
    card = model_card(CONFIG, FACTS)
    assert [card.count(f"`digest-of-{step}`") for step in ("dpo", "scaling", "curation")] == [1, 1, 1]
    assert card.index("`digest-of-dpo`") < card.index("`digest-of-scaling`") < card.index("`digest-of-curation`")


def test_a_lineage_that_says_little_is_enough():
    findings = dataclasses.replace(FINDINGS, tasks=(), contamination=())
    node = dataclasses.replace(lineage().artifacts["digest-of-curation"], environment_digest="", raw=())
    alone = Lineage(root=node.evidence_digest, artifacts={node.evidence_digest: node})
    card = model_card(RegistrationConfig(), dataclasses.replace(FACTS, lineage=alone, findings=findings))
    assert "not recorded" in card
    assert "enchmarks" not in card


def test_what_the_law_predicted_stands_beside_what_came_out():
    card = model_card(CONFIG, dataclasses.replace(FACTS, verdicts=(VERDICT,)))
    assert "predicted 2.1000 bits per byte" in card
    assert "The result was 2.3100: above the interval, 10.00% above the prediction" in card


def test_without_a_verdict_the_card_speaks_of_none(card):
    assert "Prediction and outcome" not in card

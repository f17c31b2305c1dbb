"""Measuring one model, once."""

import dataclasses

import pytest

from components.errors import MissingArtifact
from components.evaluation import held_out
from components.evaluation.config import EvaluationConfig
from components.evaluation.items import Tasks
from components.evaluation.measure import Material, measure_once
from components.tokenizer.token_shards import TokenShardReader

pytestmark = pytest.mark.long

CONFIG = EvaluationConfig(max_bytes_per_domain=2000, max_new_tokens=500, batch_tokens=512)


@pytest.fixture(scope="module")
def material(world, models):
    return Material(
        documents={"prose": held_out.fitting_documents(world.corpus, "prose", 2000)},
        reader=TokenShardReader.open(models.token_shards),
        tasks=Tasks(choices={}, completions={}),
        shown=["Hello", "alpha beta gamma " * 200],
        repetition=["Hello"],
    )


def test_a_model_measured_before_is_read_back_and_not_loaded(material, models, tmp_path):
    first = measure_once(CONFIG, "base", models.checkpoints["base"], material, tmp_path / "base.json")
    assert measure_once(CONFIG, "base", tmp_path / "gone", material, tmp_path / "base.json") == first
    assert [path.name for path in tmp_path.iterdir()] == ["base.json"]


def test_a_model_that_could_not_be_measured_leaves_nothing_behind(material, tmp_path):
    with pytest.raises(MissingArtifact):
        measure_once(CONFIG, "base", tmp_path / "gone", material, tmp_path / "base.json")
    assert list(tmp_path.iterdir()) == []


def test_prompts_and_answers_longer_than_the_context_are_cut_to_fit(material, models, tmp_path):
    measured = measure_once(CONFIG, "base", models.checkpoints["base"], material, tmp_path / "base.json")
    assert [len(sample.prompt) for sample in measured.samples] == [5, 3400]
    assert all(len(sample.answer) > 0 for sample in measured.samples)


def test_without_prompts_no_repetition_is_claimed(material, models, tmp_path):
    silent = dataclasses.replace(material, shown=["Hello"], repetition=[])
    measured = measure_once(CONFIG, "base", models.checkpoints["base"], silent, tmp_path / "base.json")
    assert measured.repetition == ()
    assert len(measured.samples) == 1

"""A whole evaluation of three untrained models."""

import dataclasses
import json
import math
import shutil

import pyarrow.parquet as pq
import pytest

from components.errors import ArtifactError, MissingArtifact
from components.evaluation.config import BenchmarkTask, EvaluationConfig
from components.evaluation.evaluate import EvaluationInputs, evaluate
from components.ports import RecordedMetrics

pytestmark = pytest.mark.long

CONFIG = EvaluationConfig(
    max_bytes_per_domain=6000,
    max_items_per_task=6,
    max_context_characters=80,
    max_answer_characters=40,
    samples=2,
    repetition_prompts=4,
    max_new_tokens=16,
    batch_tokens=512,
)


def run(world, models, root, config=CONFIG, **changes):
    inputs = {
        "corpus": world.corpus,
        "token_shards": models.token_shards,
        "conversations": world.conversations,
        "pairs": world.pairs,
        "checkpoints": models.checkpoints,
    } | changes
    output, metrics = root / "output", inputs.pop("metrics", RecordedMetrics())
    output.mkdir(parents=True, exist_ok=True)
    figures = evaluate(config, EvaluationInputs(**inputs), output=output, scratch=root / "scratch", metrics=metrics)
    return figures, output


@pytest.fixture(scope="module")
def finished(world, models, tmp_path_factory):
    return run(world, models, tmp_path_factory.mktemp("evaluation"))


def table(output, name):
    return pq.read_table(output / f"metrics/{name}.parquet").to_pylist()


def test_models_and_baselines_are_measured_on_the_same_bytes(finished):
    rows = table(finished[1], "bits_per_byte")
    assert list(dict.fromkeys(row["model"] for row in rows)) == ["base", "sft", "dpo", "byte-unigram", "zlib-9"]
    for domain in ("code", "prose"):
        assert len({(row["documents"], row["bytes"]) for row in rows if row["domain"] == domain}) == 1


def test_no_more_documents_are_scored_than_asked_for(finished, world):
    total = pq.read_table(world.corpus / "documents/validation/code")["bytes"].to_pylist()
    (scored,) = {row["bytes"] for row in table(finished[1], "bits_per_byte") if row["domain"] == "code"}
    assert 2000 < scored <= 6000 < sum(total)


def test_an_untrained_model_needs_the_bits_of_a_uniform_guess(finished, models):
    documents = pq.read_table(models.token_shards / "validation/prose/documents.parquet")
    tokens_per_byte = sum(documents["tokens"].to_pylist()) / sum(documents["bytes"].to_pylist())
    bits = {(row["model"], row["domain"]): row["bits_per_byte"] for row in table(finished[1], "bits_per_byte")}
    assert bits["base", "prose"] == pytest.approx(math.log2(304) * tokens_per_byte, rel=0.1)
    assert bits["zlib-9", "code"] < bits["byte-unigram", "code"] < 8


def test_the_aggregate_takes_the_shares_of_the_mixture(finished):
    report = json.loads((finished[1] / "report.json").read_text())
    bits = {(row["model"], row["domain"]): row["bits_per_byte"] for row in report["bits_per_byte"]}
    assert report["domain_shares"] == {"code": 0.75, "prose": 0.25}
    expected = 0.75 * bits["dpo", "code"] + 0.25 * bits["dpo", "prose"]
    assert report["aggregate"]["dpo"] == pytest.approx(expected)
    assert finished[0]["bits_per_byte/dpo"] == pytest.approx(expected, abs=1e-6)


def test_every_model_has_a_score_with_its_chance_on_every_task(finished):
    rows = table(finished[1], "tasks")
    assert {(row["task"], row["metric"]) for row in rows} == {
        *(
            (task, metric)
            for task in ("continuation-choice", "answer-choice", "preferred-answer")
            for metric in ("acc", "acc_norm")
        ),
        ("final-word", "exact_match"),
    }
    assert len(rows) == 3 * 7
    assert {row["chance"] for row in rows if row["task"] == "answer-choice"} == {0.25}
    assert {row["chance"] for row in rows if row["task"] == "preferred-answer"} == {0.5}


def test_a_benchmark_is_scored_on_all_items_and_on_clean_ones(world, models, tmp_path):
    quiz = BenchmarkTask(name="quiz", prompt="{question}", choices=("options",), answer="gold")
    config = dataclasses.replace(CONFIG, benchmarks=(quiz,))
    _, output = run(world, models, tmp_path, config, checkpoints={"base": models.checkpoints["base"]})
    rows = [row for row in table(output, "tasks") if row["task"] == "quiz"]
    assert [(row["metric"], row["items"], row["clean_items"]) for row in rows] == [("acc", 6, 4), ("acc_norm", 6, 4)]
    assert all(0 <= row["clean_value"] * 4 <= row["value"] * 6 for row in rows)
    assert table(output, "contamination") == [
        {"benchmark": "quiz", "items": 6, "contaminated": 1, "not_searched": 1, "documents": 1}
    ]


def test_each_model_answers_the_shown_prompts(finished, world):
    samples = [json.loads(line) for line in (finished[1] / "samples.jsonl").read_text().splitlines()]
    assert [sample["model"] for sample in samples] == ["base", "base", "sft", "sft", "dpo", "dpo"]
    assert len({sample["prompt"] for sample in samples}) == 2


def test_alignment_rows_are_those_of_sft_then_dpo(finished):
    assert [row["measure"] for row in table(finished[1], "alignment")] == ["sft loss", "dpo loss"]


def test_repetition_is_measured_over_the_prompts_asked_for(finished):
    report = json.loads((finished[1] / "report.json").read_text())
    assert [(row["model"], row["prompts"]) for row in report["repetition"]] == [("base", 4), ("sft", 4), ("dpo", 4)]


def test_the_same_inputs_give_the_same_bytes(finished, world, models, tmp_path):
    figures, output = run(world, models, tmp_path)
    assert figures == finished[0]
    names = sorted(path.relative_to(output) for path in output.rglob("*") if path.is_file())
    assert names == sorted(path.relative_to(finished[1]) for path in finished[1].rglob("*") if path.is_file())
    assert all((output / name).read_bytes() == (finished[1] / name).read_bytes() for name in names)


def test_the_users_own_prompts_are_shown_and_own_shares_taken(world, models, tmp_path):
    config = dataclasses.replace(CONFIG, sample_prompts=("Who are you?",), domain_shares={"prose": 1.0}, max_items_per_task=2)
    _, output = run(world, models, tmp_path, config, checkpoints={"base": models.checkpoints["base"]})
    report = json.loads((output / "report.json").read_text())
    assert [sample["prompt"] for sample in report["samples"]] == ["Who are you?"]
    bits = {(row["model"], row["domain"]): row["bits_per_byte"] for row in report["bits_per_byte"]}
    assert report["aggregate"]["base"] == bits["base", "prose"]
    assert ("base", "code") in bits


def test_token_shards_of_another_corpus_are_refused(world, models, tmp_path):
    other = tmp_path / "corpus"
    shutil.copytree(world.corpus, other)
    path = other / "documents/validation/code/part-00000.parquet"
    rows = pq.read_table(path)
    pq.write_table(rows.set_column(0, "id", [[f"{number:064d}" for number in range(rows.num_rows)]]), path)
    with pytest.raises(ArtifactError, match="lack document"):
        run(dataclasses.replace(world, corpus=other), models, tmp_path)


def test_progress_counts_models(world, models, tmp_path):
    metrics = RecordedMetrics()
    config = dataclasses.replace(CONFIG, max_items_per_task=2)
    run(world, models, tmp_path, config, checkpoints={"base": models.checkpoints["base"]}, metrics=metrics)
    assert metrics.seen == [(0, 1, "models"), (1, 1, "models")]
    assert "bits_per_byte/base/code" in metrics.values[0]


def test_a_checkpoint_without_its_alignment_table_is_named(world, models, tmp_path):
    with pytest.raises(MissingArtifact, match="alignment"):
        run(
            world,
            models,
            tmp_path,
            dataclasses.replace(CONFIG, max_items_per_task=2),
            checkpoints={"dpo": models.checkpoints["base"]},
        )

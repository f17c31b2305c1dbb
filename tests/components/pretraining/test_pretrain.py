"""Pretraining from token shards to a checkpoint directory."""

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import torch

from components.artifacts import Mixture, Plan, TrainingOutcome
from components.errors import CheckpointError, ConfigError, ResourceError, TrainingError
from components.model.huggingface import load
from components.ports import InProcessLauncher, Launcher, RecordedMetrics
from components.pretraining.config import PretrainingConfig
from components.pretraining.pretrain import PretrainingInputs, pretrain
from components.training.parallel.layout import ParallelLayout
from tests.components.pretraining.conftest import PLAN, digests, with_languages
from tests.spawning import SpawningLauncher
from tests.training_configs import training_config, with_training

CONFIG = PretrainingConfig(
    training=training_config(precision="fp32", micro_batch_tokens=64, checkpoint_steps=5, validation_steps=6),
    max_validation_bytes=3000,
    seed=3,
)


@pytest.fixture
def run(tmp_path: Path, token_shards: Path, tokenizer: Path, plan: Path) -> Any:
    """Pretrain into a directory of that name."""

    def pretrained(
        name: str,
        config: PretrainingConfig = CONFIG,
        plan: Path = plan,
        start: Path | None = None,
        launcher: Launcher = InProcessLauncher(),  # noqa: B008 it has no state
    ) -> Any:
        output, metrics = tmp_path / name, RecordedMetrics()
        output.mkdir()
        figures = pretrain(
            config,
            PretrainingInputs(plan=plan, token_shards=token_shards, tokenizer=tokenizer, start=start),
            output=output,
            scratch=tmp_path / f"{name}-scratch",
            launcher=launcher,
            metrics=metrics,
        )
        return figures, output, metrics

    return pretrained


def edited_plan(plan: Path, **changes: Any) -> Path:
    dataclasses.replace(Plan.read(plan), **changes).write(plan)
    return plan


def test_a_model_learns_and_is_written_as_a_hugging_face_directory_with_its_metrics(run: Any) -> None:
    figures, output, metrics = run("output")
    history = pq.read_table(output / "metrics" / "training.parquet").to_pydict()
    assert figures["steps"] == 12
    assert TrainingOutcome.read(output).figures == {name: figures[name] for name in ("loss", "bits_per_byte")}
    assert figures["tokens"] == 12 * 128 == history["tokens"][-1]
    assert history["loss"][-1] < 0.9 * history["loss"][0]
    assert [value is not None for value in history["bits_per_byte"]] == [step in (6, 12) for step in range(1, 13)]
    assert figures["bits_per_byte"] == history["bits_per_byte"][-1] < history["bits_per_byte"][5]
    assert figures["bits_per_byte"] == pytest.approx(0.6 * figures["bits_per_byte/code"] + 0.4 * figures["bits_per_byte/prose"])
    assert load(output).shape.d_model == 16
    assert metrics.seen[-1] == (12, 12, "steps")
    assert metrics.values[12]["tokens_per_second"] > 0


def test_an_incident_that_a_former_attempt_noted_in_part_does_not_keep_the_model_from_being_written(
    run: Any, tmp_path: Path
) -> None:
    incidents = tmp_path / "output-scratch" / "incidents.jsonl"
    incidents.parent.mkdir()
    incidents.write_text('{"step": 3, "reason": "a spike", "sequences": []}\n{"step": 4, "rea')
    _, output, _ = run("output")
    assert load(output).shape.d_model == 16
    (line,) = (output / "metrics" / "incidents.jsonl").read_text().splitlines()
    assert json.loads(line)["step"] == 3


@pytest.mark.long
def test_training_starts_with_the_weights_of_a_checkpoint(run: Any, plan: Path) -> None:
    _, first, _ = run("first")
    _, second, _ = run("second", start=first, plan=edited_plan(plan, learning_rate=1e-9))
    ends, starts = (pq.read_table(output / "metrics" / "training.parquet")["loss"].to_pylist() for output in (first, second))
    assert abs(starts[0] - ends[-1]) < 0.2 * (ends[0] - ends[-1])
    for ours, theirs in zip(load(second).parameters(), load(first).parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-7)


@pytest.mark.long
def test_workers_that_part_the_model_start_with_their_parts_of_a_checkpoint(run: Any, plan: Path) -> None:
    _, first, _ = run("first")
    _, whole, _ = run("whole", start=first)
    layout = with_training(CONFIG, layout=ParallelLayout(tensor=2))
    _, sharded, _ = run("parted", layout, start=first, launcher=SpawningLauncher())
    losses = [pq.read_table(output / "metrics" / "training.parquet")["loss"].to_pylist() for output in (whole, sharded)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)
    for ours, theirs in zip(load(sharded).parameters(), load(whole).parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-6)


def test_a_checkpoint_of_another_shape_is_no_start(run: Any, plan: Path) -> None:
    _, first, _ = run("first")
    shape = dataclasses.replace(PLAN.shape, d_ffn=48, rope_theta=5e5)
    with pytest.raises(ConfigError, match=r"which has d_ffn 32, rope_theta 10000\.0; do not set pretraining\.shape"):
        run("second", start=first, plan=edited_plan(plan, shape=shape))


def test_a_training_from_other_weights_does_not_go_on_from_its_checkpoints(run: Any, plan: Path, tmp_path: Path) -> None:
    _, first, _ = run("first")
    run("second", start=first)
    shutil.rmtree(tmp_path / "second")
    with pytest.raises(CheckpointError, match="another model, data or configuration"):
        run("second")


def test_a_loss_chunked_with_the_head_teaches_the_same(run: Any) -> None:
    (_, whole, _), (_, chunked, _) = run("whole"), run("chunked", dataclasses.replace(CONFIG, loss_rows=24))
    losses = [pq.read_table(output / "metrics" / "training.parquet")["loss"].to_pylist() for output in (whole, chunked)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


def test_a_training_under_the_document_mask_learns_and_does_not_go_on_without_it(run: Any, tmp_path: Path) -> None:
    masked = dataclasses.replace(CONFIG, document_mask=True)
    (_, output, _), (_, open_, _) = run("masked", masked), run("open")
    losses, others = (
        pq.read_table(directory / "metrics" / "training.parquet")["loss"].to_pylist() for directory in (output, open_)
    )
    assert losses[-1] < 0.9 * losses[0]
    assert losses[0] != others[0]
    for name, other in (("masked", CONFIG), ("open", masked)):
        shutil.rmtree(tmp_path / name)
        with pytest.raises(CheckpointError, match="another model, data or configuration"):
            run(name, other)


def test_the_tokens_of_each_domain_add_up_at_every_step_and_follow_the_mixture(run: Any) -> None:
    figures, output, _ = run("output")
    history = pq.read_table(output / "metrics" / "training.parquet").to_pydict()
    for total, code, prose in zip(history["tokens"], history["tokens/code"], history["tokens/prose"], strict=True):
        assert code + prose == total
        assert abs(code - 0.6 * total) <= 2 * 16
    assert figures["tokens_by_domain"] == {"code": history["tokens/code"][-1], "prose": history["tokens/prose"][-1]}


def test_the_same_inputs_give_the_same_bytes_even_after_an_interruption(run: Any, tmp_path: Path) -> None:
    first, output, _ = run("first")
    shutil.copytree(tmp_path / "first-scratch" / "checkpoints", tmp_path / "second-scratch" / "checkpoints", symlinks=True)
    shutil.rmtree(tmp_path / "second-scratch" / "checkpoints" / "step-00000012")
    second, again, metrics = run("second")
    assert [step for step, values in metrics.values.items() if "tokens_per_second" in values] == [11, 12]
    assert first == second
    assert digests(output) == digests(again)


def test_a_domain_that_would_be_repeated_too_often_is_explained_before_training(run: Any, token_shards: Path) -> None:
    mixture = Mixture(shares={"code": 0.6, "prose": 0.4}, epoch_limits={"code": 0.25, "prose": 4.0})
    mixture.write(token_shards)
    figures, output, _ = run("output")
    planned = {row["domain"]: row for row in pq.read_table(output / "metrics" / "mixture.parquet").to_pylist()}
    assert planned["code"]["epochs"] == pytest.approx(0.25)
    assert any("code reaches its epoch limit" in note for note in figures["notes"])


def test_a_plan_that_wants_more_text_than_there_is_is_refused(run: Any, token_shards: Path) -> None:
    mixture = Mixture(shares={"code": 0.6, "prose": 0.4}, epoch_limits={"code": 0.1, "prose": 0.1})
    mixture.write(token_shards)
    with pytest.raises(TrainingError, match="epoch limits"):
        run("output")


def test_a_sequence_longer_than_the_context_is_refused(run: Any, plan: Path) -> None:
    with pytest.raises(ConfigError, match="sequence length is 32"):
        run("output", plan=edited_plan(plan, sequence_length=32))


def test_another_vocabulary_than_that_of_the_token_shards_is_refused(run: Any, plan: Path) -> None:
    shape = dataclasses.replace(PLAN.shape, vocab_size=128)
    with pytest.raises(ConfigError, match="vocabulary size is 128"):
        run("output", plan=edited_plan(plan, shape=shape))


def test_a_batch_smaller_than_the_number_of_workers_is_refused(run: Any, plan: Path) -> None:
    with pytest.raises(ConfigError, match="batch size is 1"):
        run("output", with_training(CONFIG, workers=2), plan=edited_plan(plan, batch_size=1))


def test_workers_whose_passes_would_differ_in_number_are_refused_where_zero_3_makes_all_take_part_in_each(
    run: Any, plan: Path
) -> None:
    three = with_training(CONFIG, workers=4, min_workers=2, layout=ParallelLayout(zero_stage=3), micro_batch_tokens=32)
    with pytest.raises(ConfigError, match=r"^3 replicas would have different numbers of micro-batches"):
        run("output", three, plan=edited_plan(plan, batch_size=8))


def test_a_plan_that_needs_more_memory_than_is_free_is_refused_before_training(run: Any, plan: Path, tmp_path: Path) -> None:
    with pytest.raises(ResourceError, match="GiB"):
        run("output", plan=edited_plan(plan, memory_bytes=2**60))
    assert not (tmp_path / "output-scratch").exists()


def test_languages_with_shares_are_counted_beside_their_domain_whose_figures_stay_whole(run: Any, token_shards: Path) -> None:
    with_languages(token_shards)
    figures, output, metrics = run("output")
    history = pq.read_table(output / "metrics" / "training.parquet").to_pydict()
    last = {name: history[f"tokens/{name}"][-1] for name in ("code", "prose", "prose/aa", "prose/bb")}
    assert figures["tokens_by_domain"] == {"code": last["code"], "prose": last["prose"]}
    assert last["prose/aa"] + last["prose/bb"] == last["prose"]
    assert {name for name in history if name.startswith("loss/")} == {"loss/code", "loss/prose"}
    planned = {(row["domain"], row["language"]): row for row in pq.read_table(output / "metrics" / "mixture.parquet").to_pylist()}
    assert planned.keys() == {("code", ""), ("prose", "aa"), ("prose", "bb")}
    assert metrics.values[0]["planned_share/prose/aa"] == 0.25


def test_a_mixture_without_languages_leaves_the_tables_that_it_always_left(run: Any) -> None:
    _, output, _ = run("output")
    names = pq.read_schema(output / "metrics" / "mixture.parquet").names
    assert names == ["domain", "windows", "target", "share", "epochs"]

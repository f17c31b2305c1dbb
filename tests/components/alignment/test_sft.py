"""Fine-tuning, end to end on a tiny model in this process."""

import json
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from components.alignment.config import SFTConfig
from components.alignment.sft import fine_tune
from components.ports import InProcessLauncher, RecordedMetrics
from tests.training_configs import with_training

CONFIG = with_training(
    SFTConfig(epochs=2, learning_rate=1e-2, batch_size=32, max_validation_conversations=8),
    precision="fp32",
    micro_batch_tokens=2048,
    checkpoint_seconds=None,
    validation_steps=4,
)


def tune(config: SFTConfig, conversations: Path, checkpoint: Path, directory: Path) -> tuple[dict[str, float], RecordedMetrics]:
    """Fine-tune into `directory/output`."""
    metrics = RecordedMetrics()
    (directory / "output").mkdir(parents=True)
    figures = fine_tune(
        config,
        conversations=conversations,
        checkpoint=checkpoint,
        output=directory / "output",
        scratch=directory / "scratch",
        launcher=InProcessLauncher(),
        metrics=metrics,
    )
    return figures, metrics


@pytest.fixture(scope="module")
def tuned(conversations: Path, base: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, float], Path]:
    """Figures and output of one fine-tuning."""
    directory = tmp_path_factory.mktemp("sft")
    return tune(CONFIG, conversations, base, directory)[0], directory / "output"


@pytest.mark.long
def test_fine_tuning_lowers_the_loss_on_held_out_answers_of_every_task(tuned: tuple[dict[str, float], Path]) -> None:
    figures, output = tuned
    changes = {row["kind"]: row for row in pq.read_table(output / "metrics" / "alignment.parquet").to_pylist()}
    assert list(changes) == ["all", "declare", "describe", "implement"]
    assert all(row["measure"] == "answer_loss" and row["after"] < 0.9 * row["before"] for row in changes.values())
    assert figures["answer_loss/all/before"] == changes["all"]["before"]
    assert figures["answer_loss/all/after"] == changes["all"]["after"]


def test_the_history_has_a_row_a_step_with_the_held_out_loss_where_it_was_measured(tuned: tuple[dict[str, float], Path]) -> None:
    figures, output = tuned
    rows = pq.read_table(output / "metrics" / "training.parquet").to_pylist()
    assert [row["step"] for row in rows] == list(range(1, 11))
    assert figures["steps"] == 10
    assert 160 - figures["left_out"] <= figures["examples"] <= 160
    held_out = [row["step"] for row in rows if row["validation/answer_loss/all"] is not None]
    assert held_out == [4, 8, 10]
    # The loop measures the same model in the same precision.
    assert rows[-1]["validation/answer_loss/all"] == pytest.approx(figures["answer_loss/all/after"], rel=1e-6)


def test_the_output_is_a_whole_checkpoint(tuned: tuple[dict[str, float], Path]) -> None:
    output = tuned[1]
    names = {path.name for path in output.iterdir()}
    assert {"model.safetensors", "config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens.json"} <= names
    assert json.loads((output / "config.json").read_text())["model_type"] == "llama"


def test_the_same_inputs_give_the_same_bytes(
    tuned: tuple[dict[str, float], Path], conversations: Path, base: Path, tmp_path: Path
) -> None:
    figures, output = tuned
    again, metrics = tune(CONFIG, conversations, base, tmp_path)
    assert again == figures
    for path in (path.relative_to(output) for path in output.rglob("*") if path.is_file()):
        assert (tmp_path / "output" / path).read_bytes() == (output / path).read_bytes(), path
    assert metrics.seen[-1] == (10, 10, "steps")


def test_bf16_learns_too(conversations: Path, base: Path, tmp_path: Path) -> None:
    figures, _ = tune(
        with_training(replace(CONFIG, epochs=1), precision="bf16", validation_steps=None), conversations, base, tmp_path
    )
    assert figures["answer_loss/all/after"] < 0.95 * figures["answer_loss/all/before"]

"""Branches: from another training's first stage, with another token budget, bitwise as from scratch."""

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from components.artifacts import Mixture
from components.errors import CheckpointError, ConfigError
from components.ports import InProcessLauncher, RecordedMetrics
from components.pretraining.config import PretrainingConfig
from components.pretraining.pretrain import PretrainingInputs, permanent_checkpoints, pretrain
from components.pretraining.shared_prefix import CHECKPOINT, write_training_state
from components.training.config import ScheduleConfig
from tests.components.pretraining.conftest import PLAN, digests, write_plan
from tests.training_configs import training_config, with_training

pytestmark = pytest.mark.long

CONFIG = PretrainingConfig(
    training=training_config(
        precision="fp32", micro_batch_tokens=64, validation_steps=6, checkpoint_steps=7, checkpoint_permanent=(0.8,)
    ),
    max_validation_bytes=3000,
)

Pretraining = Callable[..., tuple[Path, RecordedMetrics]]


@pytest.fixture
def pretraining(tmp_path: Path, token_shards: Path, tokenizer: Path) -> Pretraining:
    """Pretrain into a directory of that name, for so many steps."""

    def run(name: str, steps: int, trunk: Path | None = None, config: PretrainingConfig = CONFIG, **changes: Any) -> Any:
        output, metrics = tmp_path / name, RecordedMetrics()
        output.mkdir()
        plan = write_plan(tmp_path / f"{name}-plan", replace(PLAN, steps=steps, tokens=steps * 8 * 16, **changes))
        pretrain(
            config,
            PretrainingInputs(plan=plan, token_shards=token_shards, tokenizer=tokenizer, trunk=trunk),
            output=output,
            scratch=tmp_path / f"{name}-scratch",
            launcher=InProcessLauncher(),
            metrics=metrics,
        )
        return output, metrics

    return run


def state_of(tmp_path: Path, name: str, config: PretrainingConfig = CONFIG) -> Path:
    """The training state that a pretraining has kept."""
    (checkpoint,) = permanent_checkpoints(config, plan=tmp_path / f"{name}-plan", scratch=tmp_path / f"{name}-scratch")
    state = tmp_path / f"{name}-state"
    state.mkdir()
    write_training_state(checkpoint, state)
    return state


@pytest.fixture
def trunk(pretraining: Pretraining, tmp_path: Path) -> Path:
    """The state after 12 of 15 steps: the end of the first stage."""
    pretraining("short", 15)
    return state_of(tmp_path, "short")


def test_a_branch_with_more_tokens_is_bitwise_a_training_from_scratch(
    pretraining: Pretraining, trunk: Path, tmp_path: Path
) -> None:
    branched, metrics = pretraining("branched", 25, trunk)
    scratch, _ = pretraining("scratch", 25)
    assert digests(branched) == digests(scratch)
    assert metrics.values[12]["resumed_from"] == 12
    assert [step for step, values in metrics.values.items() if "tokens_per_second" in values] == list(range(13, 26))
    assert digests(state_of(tmp_path, "branched")) == digests(state_of(tmp_path, "scratch"))


def test_a_killed_branch_goes_on_from_its_own_checkpoints(pretraining: Pretraining, trunk: Path, tmp_path: Path) -> None:
    whole, _ = pretraining("whole", 25, trunk)
    checkpoints = tmp_path / "killed-scratch" / "checkpoints"
    shutil.copytree(tmp_path / "whole-scratch" / "checkpoints", checkpoints, symlinks=True)
    shutil.rmtree(checkpoints / "step-00000025")
    killed, metrics = pretraining("killed", 25, trunk)
    assert metrics.values[21]["resumed_from"] == 21
    assert digests(killed) == digests(whole)


def test_what_is_kept_is_whole_says_nothing_of_time_and_outlives_the_training(trunk: Path, tmp_path: Path) -> None:
    shutil.rmtree(tmp_path / "short-scratch")
    manifest = json.loads((trunk / CHECKPOINT / "manifest.json").read_text())
    assert (manifest["step"], manifest["identity"]["steps"]) == (12, 15)
    assert "goodput" not in manifest
    assert sorted(path.name for path in (trunk / CHECKPOINT).iterdir()) == sorted([*manifest["files"], "manifest.json"])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"learning_rate": 2e-2}, r"in which plan\.learning_rate is 0\.01, not 0\.02; set the same value"),
        ({"batch_size": 4}, r"in which plan\.batch_size is 8, not 4"),
        ({"shape": replace(PLAN.shape, d_ffn=48)}, r"in which plan\.shape\.d_ffn is 32, not 48"),
        ({"config": replace(CONFIG, seed=1)}, "in which seed is 0, not 1"),
        ({"config": replace(CONFIG, document_mask=True)}, "in which document_mask is None, not True"),
        (
            {"config": with_training(CONFIG, schedule=ScheduleConfig(kind="cosine"))},
            r"in which schedule\.kind is 'multi-step'",
        ),
    ],
)
def test_another_beginning_is_refused_with_what_it_was(
    pretraining: Pretraining, trunk: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        pretraining("branched", 25, trunk, **changes)


def test_other_data_is_refused(pretraining: Pretraining, trunk: Path, token_shards: Path) -> None:
    mixture = Mixture(shares={"code": 0.5, "prose": 0.5}, epoch_limits={"code": 4.0, "prose": 4.0})
    mixture.write(token_shards)
    with pytest.raises(ConfigError, match=r"in which order\.code is \[\d+, 0\.6\], not \[\d+, 0\.5\]"):
        pretraining("branched", 25, trunk)


def test_a_budget_whose_first_stage_is_shorter_is_refused(pretraining: Pretraining, trunk: Path) -> None:
    with pytest.raises(ConfigError, match="the branch, with 13 steps, lowers its learning rate after step 11"):
        pretraining("shorter", 13, trunk)


def test_a_checkpoint_after_the_first_stage_is_no_trunk(pretraining: Pretraining, tmp_path: Path) -> None:
    late = with_training(CONFIG, checkpoint_permanent=(0.9,))
    pretraining("late", 20, config=late)
    with pytest.raises(ConfigError, match="the trunk, with 20 steps, lowers its learning rate after step 16"):
        pretraining("branched", 40, state_of(tmp_path, "late", late))


def test_another_precision_is_refused_by_the_worker_that_knows_it(pretraining: Pretraining, trunk: Path) -> None:
    with pytest.raises(CheckpointError, match="precision is 'fp32', not 'bf16'"):
        pretraining("branched", 25, trunk, with_training(CONFIG, precision="bf16"))


def test_a_damaged_trunk_is_refused(pretraining: Pretraining, trunk: Path) -> None:
    (trunk / CHECKPOINT / "rank-00000.safetensors").write_bytes(b"")
    with pytest.raises(CheckpointError, match=r"rank-00000\.safetensors was changed"):
        pretraining("branched", 25, trunk)

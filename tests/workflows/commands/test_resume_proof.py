"""Proofs that pretraining survives a kill: in this process, where an exception ends the worker; the command with Ray is slow."""

import json
import os
import random
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from components.errors import ConfigError, TrainingError
from components.ports import InProcessLauncher
from components.pretraining.config import PretrainingConfig
from components.training.parallel.layout import ParallelLayout
from infra.settings import Settings
from tests.components.pretraining.conftest import PLAN, plan, token_shards, tokenizer  # noqa: F401 fixtures
from tests.training_configs import training_config
from tests.workflows.conftest import published
from workflows.commands.resume_proof import TOLERANCE, Proof, ResumeVerdict, as_json, inputs_of, verdict_lines
from workflows.steps.journal import open_journal

SAME = ResumeVerdict(
    workers=1, workers_after=1, killed=True, killed_after=23, resumed_from=20, identical=True, loss_difference=0.0
)
OTHER = replace(SAME, workers_after=2, identical=False, loss_difference=TOLERANCE / 2)


def test_at_the_same_number_of_workers_only_the_same_bits_hold() -> None:
    assert SAME.holds
    assert not replace(SAME, identical=False).holds
    assert not replace(SAME, resumed_from=0).holds
    assert not replace(SAME, killed=False).holds


def test_at_another_number_of_workers_the_tolerance_holds() -> None:
    assert OTHER.holds
    assert not replace(OTHER, loss_difference=2 * TOLERANCE).holds


def test_a_verdict_is_one_sentence_with_the_steps_and_what_was_found() -> None:
    kept, broken = verdict_lines([SAME, replace(OTHER, loss_difference=0.5)])
    assert kept.startswith("holds")
    assert "killed after step 23, resumed from step 20: output has the same bytes" in kept
    assert broken.startswith("BROKEN")
    assert "1 -> 2 workers" in broken
    assert [row["holds"] for row in as_json([SAME, OTHER])] == [True, True]


def test_where_nothing_was_killed_the_sentence_says_so_and_blames_nothing() -> None:
    (line,) = verdict_lines([replace(SAME, killed=False, resumed_from=0)])
    assert line.startswith("not killed")
    assert "training ended before the kill at step 23: nothing is proved" in line
    assert "BROKEN" not in line


class Killed(Exception):
    """Ends the worker in this process."""


def kill() -> None:
    raise Killed


@dataclass
class Mortal(InProcessLauncher):
    """A worker in this process that can be killed, and is started again after so many kills."""

    max_failures: int = 0

    def launch(self, *arguments: Any, **options: Any) -> list[Any]:
        try:
            return super().launch(*arguments, **options)
        except Killed as error:
            if not self.max_failures:
                raise TrainingError("a worker was lost") from error
            return super().launch(*arguments, **options)


ProofOf = Callable[..., Proof]


@pytest.fixture
def proof_of(tmp_path: Path, token_shards: Path, plan: Path, tokenizer: Path) -> ProofOf:  # noqa: F811
    """`proof_of(steps)` of a plan of twelve steps, beginning at `start` if it is given."""
    config = PretrainingConfig(
        training=training_config(precision="fp32", layout=ParallelLayout(data=1)), max_validation_bytes=3000
    )

    def made(steps: int, name: str = "proof", **start: Path) -> Proof:
        inputs = {"scaling": plan, "token_shards": token_shards, "tokenizer": tokenizer, **start}
        return Proof.of(config, inputs, tmp_path / name, steps, Mortal, kill)

    return made


@pytest.mark.parametrize("steps", [8, 12, 200])
def test_a_plan_shorter_than_what_is_asked_for_has_its_kill_too(proof_of: ProofOf, steps: int) -> None:
    proof = proof_of(steps)
    (verdict,) = proof.verdicts(random.Random(0))
    trained = min(steps, PLAN.steps)
    assert proof.plan.steps == trained
    assert trained // 2 <= verdict.killed_after <= 3 * trained // 4
    assert 0 < verdict.resumed_from <= verdict.killed_after
    assert verdict.holds


def test_a_kill_that_does_not_come_is_told(proof_of: ProofOf) -> None:
    proof = proof_of(8)
    verdict = proof.verdict(proof.trained("whole", 1, None), 1, 9)
    assert not verdict.killed
    assert not verdict.holds


def test_continued_pretraining_is_proved_from_its_start(proof_of: ProofOf) -> None:
    def losses(output: Path) -> list[float]:
        column: list[float] = pq.read_table(output / "metrics" / "training.parquet")["loss"].to_pylist()
        return column

    first = proof_of(12).trained("whole", 1, None)
    second = proof_of(12, "continued", start=first).trained("whole", 1, None)
    assert losses(second)[0] < losses(first)[6]


def test_too_few_steps_are_refused(proof_of: ProofOf) -> None:
    with pytest.raises(ConfigError, match="--steps 7, and the plan has 12 steps; resume-proof needs at least 8"):
        proof_of(7)


@pytest.mark.parametrize("start", ["", "models/some-llama"])
def test_what_pretraining_needs_is_found_where_artifacts_are_kept(any_home: Settings, tmp_path: Path, start: str) -> None:
    record = open_journal(any_home.runs)
    for step in ("curation", "start", "tokenizer", "token_shards", "scaling"):
        (tmp_path / step).mkdir()
        (tmp_path / step / "file").write_text(step)
        made = published(any_home, step, tmp_path / step)
        record.write("cached", step=step, **made.pinned, figures={})
    inputs = inputs_of(PretrainingConfig(start=start), record, any_home)
    assert sorted(inputs) == sorted(["scaling", "token_shards", "tokenizer", *(["start"] if start else [])])
    assert all((directory / "file").read_text() == step for step, directory in inputs.items())


@pytest.mark.ray
@pytest.mark.slow
def test_the_command_proves_it_on_a_real_recipe_whose_plan_is_shorter_than_two_hundred_steps(tmp_path: Path) -> None:
    short = ["--set", f"pretraining.tokens={40 * 4 * 256}", "--set", "pretraining.warmup_steps=2"]
    command = [sys.executable, "-m", "workflows.cli", "resume-proof", "tiny", *short, "--home", str(tmp_path / "home"), "--json"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path, env=os.environ.copy())
    assert ended.returncode == 0, ended.stderr
    verdicts = json.loads(ended.stdout)
    assert all(verdict["holds"] for verdict in verdicts)
    assert all(verdict["resumed_from"] > 0 for verdict in verdicts)
    assert not (tmp_path / "home" / "resume-proof").exists()

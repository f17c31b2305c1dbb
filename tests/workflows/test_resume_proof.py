"""The verdict of a proof that pretraining survives a kill; a whole proof is slow."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from workflows.resume_proof import TOLERANCE, Verdict, as_json, verdict_lines

SAME = Verdict(workers=1, workers_after=1, killed_after=23, resumed_from=20, identical=True, loss_difference=0.0)
OTHER = replace(SAME, workers_after=2, identical=False, loss_difference=TOLERANCE / 2)


def test_at_the_same_number_of_workers_only_the_same_bits_hold() -> None:
    assert SAME.holds
    assert not replace(SAME, identical=False).holds
    assert not replace(SAME, resumed_from=0).holds


def test_at_another_number_of_workers_the_tolerance_holds() -> None:
    assert OTHER.holds
    assert not replace(OTHER, loss_difference=2 * TOLERANCE).holds


def test_a_verdict_is_one_sentence_with_the_steps_and_what_was_found() -> None:
    kept, broken = verdict_lines([SAME, replace(OTHER, loss_difference=0.5)])
    assert kept.startswith("holds")
    assert "killed once step 23 was reported, resumed from 20: output bitwise the same" in kept
    assert broken.startswith("BROKEN")
    assert "1 -> 2 workers" in broken
    assert [row["holds"] for row in as_json([SAME, OTHER])] == [True, True]


@pytest.mark.ray
@pytest.mark.slow
def test_the_command_proves_it_on_a_real_recipe(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "workflows.cli", "resume-proof", "tiny", "--home", str(tmp_path / "home"), "--json"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path, env=os.environ.copy())
    assert ended.returncode == 0, ended.stderr
    verdicts = json.loads(ended.stdout)
    assert all(verdict["holds"] for verdict in verdicts)
    assert all(verdict["resumed_from"] > 0 for verdict in verdicts)
    assert not (tmp_path / "home" / "resume-proof").exists()

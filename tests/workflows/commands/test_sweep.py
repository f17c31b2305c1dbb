"""What a finished sweep ends with: its laws, the verdict, and where its reports are."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from components.artifacts import PlanVerdict
from infra.settings import Settings
from tests.components.ports.store_suite import fill, manifest_of
from workflows.commands.sweep import sweep_lines, verdict_lines
from workflows.steps.journal import Journal, open_journal

EXPONENT = {"value": 0.5, "low": 0.4, "high": 0.6}
LADDER = {"isoflop": {"n_exponent": EXPONENT}, "refused": {"parametric": "too few runs"}}
GRID = {"hyper_parameters": {"batch_exponent": EXPONENT, "learning_rate_exponent": EXPONENT}, "refused": {}}
VERDICT = PlanVerdict(figure="bits_per_byte", predicted=2.0, low=1.9, high=2.1, actual=2.04, position="inside", excess=0.02)


def finished(settings: Settings, steps: dict[str, Any]) -> tuple[Journal, dict[str, Path]]:
    journal, directories = open_journal(settings.runs), {}
    for step, figures in steps.items():
        with settings.store.writing(step) as output:
            fill(output, text=step)
            VERDICT.write(output)
            artifact = settings.store.publish(output, manifest_of(output, step=step))
        journal.write("made", step=step, **artifact.pinned, figures=figures)
        directories[step] = settings.home / artifact.uri
    return journal, directories


def test_a_ladder_with_a_target_shows_both_laws_the_verdict_and_three_reports(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    steps = {"hyper_parameter_law": GRID, "scaling_law": LADDER, "verdict": {}}
    journal, directories = finished(settings, steps)
    lines = sweep_lines(journal, settings)
    assert lines[1:4] == [
        "grid        batch grows as C^0.500 [0.400, 0.600]",
        "grid        learning rate grows as C^0.500 [0.400, 0.600]",
        "IsoFLOP     M_opt grows as C^0.500 [0.400, 0.600]",
    ]
    assert "not fitted: parametric: too few runs" in lines
    assert lines[-4:] == [
        f"law         {directories['scaling_law'] / 'law.json'}",
        *(f"report      {directories[step] / 'report.html'}" for step in steps),
    ]


def test_a_grid_alone_is_its_own_law_without_a_verdict(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    journal, directories = finished(settings, {"hyper_parameter_law": GRID})
    directory = directories["hyper_parameter_law"]
    lines = sweep_lines(journal, settings)
    assert lines[-2:] == [f"law         {directory / 'law.json'}", f"report      {directory / 'report.html'}"]
    assert not [line for line in lines if line.startswith("predicted")]


@pytest.mark.parametrize(("excess", "direction"), [(0.02, "2.00% above"), (-0.02, "2.00% below")])
def test_a_verdict_says_on_which_side_of_the_prediction_training_ended(excess: float, direction: str) -> None:
    predicted, actual = verdict_lines(replace(VERDICT, excess=excess))
    assert "2.0000 bits per byte" in predicted
    assert f"2.0400, inside the interval, {direction} the prediction" in actual

"""What a finished sweep ends with: its laws, the verdict, and where its reports are."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from components.artifacts import PlanVerdict
from components.errors import ConfigError
from components.scaling.laws.files import find_text_law
from infra.settings import Settings
from tests.components.ports.store_suite import fill, manifest_of
from tests.components.scaling.text_truth import LAW
from workflows.commands.sweep import copy_law, sweep_lines, verdict_lines
from workflows.steps.journal import Journal, open_journal

EXPONENT = {"value": 0.5, "low": 0.4, "high": 0.6}
LADDER = {"isoflop": {"n_exponent": EXPONENT}, "refused": {"parametric": "too few runs"}}
GRID = {"hyper_parameters": {"batch_exponent": EXPONENT, "learning_rate_exponent": EXPONENT}, "refused": {}}
TEXT = {
    "runs": 18,
    "joint": dict.fromkeys(("E", "alpha", "beta", "A 320", "B 320", "A 512", "B 512"), EXPONENT),
    "vocabularies": {"320": {"bytes_per_token": 1.5}, "512": {"bytes_per_token": 2.0}},
    "optima": [{"compute": 1e12, "vocab_size": 512, "width": 64, "tokens": 1.25e6, "bits_per_byte": 2.5}],
    "refused": {"vocabulary 320": "too few runs"},
}
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


def test_a_grid_whose_best_training_lies_at_its_edge_is_shown_with_a_note(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    edge = "1e+11 FLOPs: the least loss lies at the smallest batch of the grid"
    journal, _ = finished(settings, {"hyper_parameter_law": GRID | {"edges": [edge]}})
    assert f"note: {edge}; the optimum may lie beyond" in sweep_lines(journal, settings)


@pytest.mark.parametrize(("excess", "direction"), [(0.02, "2.00% above"), (-0.02, "2.00% below")])
def test_a_verdict_says_on_which_side_of_the_prediction_training_ended(excess: float, direction: str) -> None:
    predicted, actual = verdict_lines(replace(VERDICT, excess=excess))
    assert "2.0000 bits per byte" in predicted
    assert f"2.0400, inside the interval, {direction} the prediction" in actual


def test_the_law_of_a_text_shows_each_vocabulary_and_the_best_models(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    journal, directories = finished(settings, {"text_law": TEXT})
    lines = sweep_lines(journal, settings)
    assert "            alpha 0.5 [0.4, 0.6]" in lines
    assert "       512            2.000      0.5      0.5" in lines
    assert "     1e+12  vocabulary    512, width   64, 1.25e+06 tokens: 2.500 bits per byte" in lines
    assert "not fitted: vocabulary 320: too few runs" in lines
    assert lines[-2] == f"law         {directories['text_law'] / 'text-law.json'}"


def test_a_law_is_copied_to_a_file_with_the_trainings_beside_it(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "home")
    journal = open_journal(settings.runs)
    with settings.store.writing("text_law") as output:
        LAW.write(output)
        (output / "runs.csv").write_text("n,d\n")
        artifact = settings.store.publish(output, manifest_of(output, step="text_law"))
    journal.write("made", step="text_law", **artifact.pinned, figures=TEXT)
    copy_law(journal, settings, tmp_path / "mine.json")
    assert find_text_law(str(tmp_path / "mine.json")) == LAW
    assert (tmp_path / "mine.csv").read_text() == "n,d\n"


def test_a_run_without_a_law_has_none_to_copy(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path)
    with pytest.raises(ConfigError, match="has fitted no law; name the run of a sweep"):
        copy_law(open_journal(settings.runs), settings, tmp_path / "mine.json")

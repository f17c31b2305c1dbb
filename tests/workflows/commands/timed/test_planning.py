"""`longrun plan --minutes` and `--hours`: here and on accelerators, and what is refused."""

import json
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from components.errors import ConfigError, LongrunError
from components.scaling.laws.files import write_law
from infra.settings import Settings
from tests.components.scaling.laws.test_files import FITTED
from tests.components.scaling.planning.test_rates import fit
from tests.components.scaling.text_truth import LAW
from workflows.cli.main import app
from workflows.commands.timed.calibration import rates_directory
from workflows.commands.timed.machine import this_machine


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home in which this machine was measured, and a law of a text beside it."""
    directory = rates_directory(Settings(home=tmp_path / "home"), this_machine())
    directory.mkdir(parents=True)
    fit().write(directory)
    write_law(LAW, tmp_path / "text-law.json")
    write_law(FITTED, tmp_path / "law.json")
    return tmp_path


def printed(home: Path, *words: str) -> str:
    result = CliRunner().invoke(app, ["plan", *words, "--home", str(home / "home")])
    if result.exception:
        raise result.exception
    return result.output


def planned(home: Path, *words: str) -> dict[str, object]:
    return json.loads(printed(home, *words, "--json"))


def test_minutes_here_give_the_training_for_that_time_on_this_machine(home: Path) -> None:
    law = ("--law", str(home / "text-law.json"))
    made = planned(home, "--minutes", "2", *law)
    assert made["seconds"] == pytest.approx(120, rel=0.02)
    assert made["law"] == "mine"
    assert planned(home, "--hours", str(2 / 60), *law)["tokens"] == made["tokens"]
    assert "run it: longrun run smoke --set" in printed(home, "--minutes", "2", *law)


def test_a_recipe_gives_its_stages_and_its_name_to_the_command(home: Path) -> None:
    made = planned(home, "tiny", "--minutes", "2", "--law", str(home / "text-law.json"), "--text-bytes", "1e6")
    assert [stage["reason"] for stage in made["stages"]][:1] == ["no run in this home has made it"]  # type: ignore[attr-defined]
    assert str(made["command"]).startswith("longrun run tiny --set ")
    assert made["epochs"] <= 4  # type: ignore[operator]


def test_hours_on_accelerators_give_the_plan_of_their_compute(home: Path) -> None:
    made = planned(home, "--hours", "10", "--gpus", "64", "--gpu", "h100", "--text-bytes", "1e12")
    assert made["compute"] == pytest.approx(10 * 3600 * 64 * 989e12 * 0.4, rel=0.2)
    assert made["cluster"]["hours"] == pytest.approx(10, rel=0.2)  # type: ignore[index]
    assert made["limits"]["a_tenth_more_time"]["gain"] is None  # type: ignore[index]
    assert planned(home, "--hours", "10", "--gpus", "64", "--law", str(home / "law.json"))["prediction"] is not None


def test_with_the_law_of_a_text_accelerators_get_a_vocabulary_too(home: Path) -> None:
    made = planned(home, "--minutes", "1", "--gpus", "1", "--gpu", "rtx4090", "--law", str(home / "text-law.json"))
    assert made["shape"]["vocab_size"] in (512, 1024)  # type: ignore[index]
    assert made["rates"] is None
    assert "range" in made["limits"]  # type: ignore[operator]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--minutes", "1", "--hours", "1"], "--minutes and --hours are both given; allowed: one of them"),
        (["--minutes", "0"], "--minutes is 0; allowed: a number above 0"),
        (["--hours=-1"], "--hours is -1; allowed: a number above 0"),
        (["--minutes", "1", "--text-bytes", "0"], "--text-bytes is 0; allowed: a number above 0"),
        (["--minutes", "1", "--compute", "1e20"], "--minutes and --compute are both given; allowed: a time, or --compute"),
        (["--hours", "1", "--model", "7b"], "--hours and --model are both given"),
        (["--minutes", "1", "--tokens", "1e6"], "--minutes and --tokens are both given"),
        (["smoke", "--hours", "1", "--gpus", "8"], "RECIPE is for a time on this machine; leave out RECIPE or --gpus"),
        (["--calibrate", "--hours", "1", "--gpus", "8"], "--calibrate is for a time on this machine"),
        (["smoke"], "RECIPE needs a time: add --minutes or --hours; its curation is shown by: longrun curation-plan smoke"),
        (["--text-bytes", "1e6", "--compute", "1e20"], "--text-bytes needs a time: add --minutes or --hours"),
        (["--calibrate"], "--calibrate needs a time: add --minutes or --hours"),
        (["--minutes", "1", "--law", "deepseek"], "the law deepseek is of no text in particular"),
        (["--minutes", "1", "--law", "nothing.json"], "nothing.json: missing"),
        (["smok", "--minutes", "1"], "unknown recipe 'smok'"),
        (["--hours", "1", "--gpus", "8", "--gpu", "abacus"], "Accelerators.gpu is 'abacus'"),
    ],
)
def test_what_cannot_be_planned_is_refused_by_the_options_name(home: Path, words: list[str], message: str) -> None:
    with pytest.raises(ConfigError) as raised:
        printed(home, *words)
    assert message in str(raised.value)


@pytest.mark.slow
@pytest.mark.ray
def test_the_printed_command_runs_a_training_of_the_planned_shape(home: Path) -> None:
    made = planned(home, "tiny", "--minutes", "0.1", "--law", str(home / "text-law.json"))
    words = shlex.split(str(made["command"]))[1:]
    result = CliRunner().invoke(app, [*words, "--until", "pretraining", "--home", str(home / "home")])
    assert not isinstance(result.exception, LongrunError), result.output
    assert result.exit_code == 0, result.output
    again = planned(home, "tiny", "--minutes", "0.1", "--law", str(home / "text-law.json"))
    curation = next(stage for stage in again["stages"] if stage["stage"] == "curation")  # type: ignore[attr-defined]
    assert curation["seconds"] > 0

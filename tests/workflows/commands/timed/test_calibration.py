"""This machine is measured once, and again where it is asked for or has changed."""

import json
from pathlib import Path

import pytest

from components.scaling.planning.rates import COSTS, Rates
from infra.settings import Settings
from tests.components.scaling.planning.test_rates import fit
from workflows.commands.timed import calibration
from workflows.commands.timed.calibration import measured_rates, rates_directory, rates_of_this_machine
from workflows.commands.timed.machine import this_machine


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A home in which this machine was measured."""
    home = Settings(home=tmp_path)
    directory = rates_directory(home, this_machine())
    directory.mkdir(parents=True)
    fit().write(directory)
    return home


def said(words: str) -> None:
    raise AssertionError(f"nothing takes time, but: {words}")


def test_rates_that_were_measured_on_this_machine_are_used_again(settings: Settings) -> None:
    assert rates_of_this_machine(settings, again=False, say=said) == fit()


def test_another_processor_or_torch_has_rates_of_its_own(settings: Settings) -> None:
    machine = this_machine()
    others = [machine | {"processor": "another"}, machine | {"torch": "3"}, machine | {"cores": "64"}, machine | {"gpus": "H100"}]
    assert len({rates_directory(settings, each) for each in (machine, *others)}) == 5


@pytest.mark.parametrize("again", [False, True])
def test_rates_that_cannot_be_read_or_are_not_wanted_are_measured_again(settings: Settings, again: bool) -> None:
    path = rates_directory(settings, this_machine()) / Rates.NAME
    if not again:
        path.write_text(json.dumps({"costs": {}}))
    told: list[str] = []

    class Stop(Exception):
        """Before anything is measured."""

    def stop(words: str) -> None:
        told.append(words)
        raise Stop

    with pytest.raises(Stop):
        rates_of_this_machine(settings, again=again, say=stop)
    assert told == [f"measuring how fast this machine trains, once, in about {calibration.SECONDS:.0f} s …"]


@pytest.mark.slow
def test_this_machine_is_measured_and_predicted_to_a_factor(tmp_path: Path) -> None:
    rates = measured_rates(this_machine(), tmp_path / "log", seconds=calibration.SECONDS)
    assert set(rates.costs) == set(COSTS)
    assert rates.machine.keys() == {"processor", "cores", "gpus", "torch", "precision"}
    assert 0 <= rates.error < 2

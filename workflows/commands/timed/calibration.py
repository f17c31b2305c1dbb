"""How fast this machine trains: measured once, and kept in the home."""

import contextlib
import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path

from components.errors import ArtifactError
from components.scaling.planning.rates import Rates
from infra.settings import Settings, usable_home
from workflows.commands.timed.machine import load_per_core, this_machine
from workflows.steps.journal import output_to

SECONDS = 45.0
"""What measuring takes; with the start of torch it is less than a minute."""


def rates_of_this_machine(settings: Settings, *, again: bool, say: Callable[[str], None]) -> Rates:
    """The rates kept in the home, else measured now; `again` measures in any case. `say` is told before that.

    They are kept by what decides them: processor, cores, GPUs and torch. How busy the machine was is kept with them.

    Raises:
        HomeError: the home cannot be written.
        ResourceError: the machine is too slow or too busy to be measured.
    """
    machine = this_machine()
    directory = rates_directory(settings, machine)
    if not again:
        # What cannot be read, such as a later version's, is measured again
        with contextlib.suppress(ArtifactError):
            return Rates.read(directory)
    usable_home(settings.home)
    directory.mkdir(parents=True, exist_ok=True)
    say(f"measuring how fast this machine trains, once, in about {SECONDS:.0f} s …")
    rates = measured_rates(machine, directory / "calibration.log", seconds=SECONDS)
    rates.write(directory)
    return rates


def rates_directory(settings: Settings, machine: Mapping[str, str]) -> Path:
    """Where the rates of a machine are kept."""
    digest = hashlib.sha256(json.dumps(machine, sort_keys=True).encode()).hexdigest()
    return settings.home / "rates" / digest[:16]


def measured_rates(machine: Mapping[str, str], log: Path, *, seconds: float) -> Rates:
    """The rates of this machine, measured now in about `seconds`; what libraries print goes to `log`."""
    load = load_per_core()
    with output_to(log):
        from components.pretraining.calibration import sizes_for, step_times
        from components.training.config import CheckpointConfig, TrainingConfig
        from components.training.device import resolved_precision, training_device

        device = training_device()
        sizes, precision = sizes_for(device), resolved_precision("auto", device)
        config = TrainingConfig(
            precision=precision,
            micro_batch_tokens=sizes.micro_batch_tokens,
            validation_steps=None,
            checkpoints=CheckpointConfig(seconds=None, permanent=()),
        )
        times = step_times((*sizes.fitted, *sizes.held_out), config, seconds=seconds)
    fitted = len(sizes.fitted)
    return Rates.fit(
        times[:fitted],
        held_out=times[fitted:],
        machine={**machine, "precision": precision},
        load=load,
        micro_batch_tokens=sizes.micro_batch_tokens,
    )

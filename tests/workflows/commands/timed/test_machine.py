"""What this machine is."""

import os

import torch

from workflows.commands.timed.machine import load_per_core, this_machine


def test_a_machine_is_told_apart_by_processor_cores_gpus_and_torch() -> None:
    machine = this_machine()
    assert machine["processor"]
    assert machine["cores"] == str(len(os.sched_getaffinity(0)))
    assert machine["torch"] == torch.__version__
    assert bool(machine["gpus"]) == torch.cuda.is_available()
    assert this_machine() == machine


def test_the_load_is_that_of_one_core() -> None:
    assert 0 <= load_per_core() <= os.getloadavg()[0] + 1

"""The memory of a step is the highest that it had, with the processes below it."""

import subprocess
import sys

from workflows.steps.memory import PeakMemory

MIB = 1 << 20


def test_memory_that_a_child_process_holds_counts_until_the_end_of_the_block() -> None:
    with PeakMemory() as alone:
        pass
    holding = f"data = bytearray({64 * MIB}); data[::4096] = b'x' * len(data[::4096]); print('held', flush=True); input()"
    with (
        subprocess.Popen([sys.executable, "-c", holding], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child,
        PeakMemory() as both,
    ):
        assert child.stdout
        child.stdout.readline()
        both.__exit__()
        child.communicate(b"\n")
    assert both.bytes - alone.bytes > 64 * MIB


def test_memory_that_was_given_back_stays_the_peak() -> None:
    data = bytearray(64 * MIB)
    data[::4096] = b"x" * len(data[::4096])
    peak = PeakMemory()
    with peak:
        before = peak.bytes
        del data
    assert peak.bytes == before > 64 * MIB

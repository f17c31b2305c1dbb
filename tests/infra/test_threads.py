"""How a worker's threads compute."""

from threading import Thread

import torch

from infra.threads import use_threads

ENOUGH = 1 << 20
"""Numbers that torch shares out to all threads."""


def test_all_threads_of_a_prepared_one_take_what_is_nearly_nothing_as_zero() -> None:
    before, nonzero = torch.get_num_threads(), []

    def work() -> None:
        use_threads(2)
        nonzero.append((torch.full((ENOUGH,), 1e-30) * 1e-9).count_nonzero().item())

    thread = Thread(target=work)
    thread.start()
    thread.join()
    torch.set_num_threads(before)
    assert nonzero == [0]

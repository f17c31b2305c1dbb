"""Machine code computes what the function in Python says."""

import numpy as np

from components.hashing import mixed
from components.machine_code import Hashes, compiled, mix


def test_mixing_in_machine_code_is_the_mixing_of_arrays() -> None:
    words = np.random.default_rng(0).integers(0, 2**64, size=1000, dtype=np.uint64)
    assert [int(mix(word)) for word in words] == mixed(words).tolist()


def test_compiled_functions_call_one_another_on_arrays() -> None:
    def folded(words: Hashes) -> np.uint64:
        total = np.uint64(0)
        for word in words:
            total = mix(total ^ word)
        return total

    words = np.arange(10, dtype=np.uint64)
    expected = np.uint64(0)
    for word in words:
        (expected,) = mixed(np.array([expected ^ word]))
    assert int(compiled(folded)(words)) == int(expected)

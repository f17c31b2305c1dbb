"""Functions that become machine code, and the arrays they take. numba: compiles loops over bytes, and ships as a wheel."""

from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from components.hashing import mixed

Bytes = npt.NDArray[np.uint8]
Hashes = npt.NDArray[np.uint64]
Numbers = npt.NDArray[np.int64]


def compiled(function: Any) -> Any:
    """Machine code on first use, kept in numba's cache (`infra.variables.numba_cache` says where)."""
    return numba.njit(cache=True, nogil=True, boundscheck=False)(function)


mix = compiled(mixed)
"""`components.hashing.mixed` of one value, for other machine code."""

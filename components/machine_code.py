"""Compiles functions to machine code with numba, which handles loops over bytes and is available as a wheel."""

from typing import Any

import numba
import numpy as np
import numpy.typing as npt

from components.hashing import mixed

Bytes = npt.NDArray[np.uint8]
Hashes = npt.NDArray[np.uint64]
Numbers = npt.NDArray[np.int64]


def compiled(function: Any) -> Any:
    """Decorator that compiles a function on its first call. numba caches the result (in `infra.variables.numba_cache`)."""
    return numba.njit(cache=True, nogil=True, boundscheck=False)(function)


mix = compiled(mixed)
"""`components.hashing.mixed` for a single value, callable from compiled functions."""

"""The runtime distributions of this environment: what the runtime locks name, not what a cluster or tests need besides."""

import functools
import re

from infra.bundle import REPOSITORY

RUNTIME_GROUPS = ("core", "data", "train", "evaluate")


@functools.cache
def runtime_distributions() -> tuple[str, ...]:
    """Names of the distributions in the runtime locks, sorted. Installing tests or tools does not change them."""
    texts = [(REPOSITORY / "infra" / "locks" / f"{group}.txt").read_text() for group in RUNTIME_GROUPS]
    return tuple(sorted({name for text in texts for name in re.findall(r"^([A-Za-z0-9._-]+)==", text, re.MULTILINE)}))

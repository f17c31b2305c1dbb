"""Which locks a run needs, and which of them are text that a corpus may be made of."""

import functools
import re

from infra.bundle import REPOSITORY

RUNTIME_GROUPS = ("core", "data", "train", "evaluate", "curation")
"""Locks of what a run imports on this machine; a cluster or tests need others besides."""

SOURCE_GROUPS = ("core", "data", "train", "evaluate")
"""Locks whose distributions `python-environment:` reads. Fixed: another one would change every corpus made of that source."""


@functools.cache
def source_distributions() -> tuple[str, ...]:
    """Names of the distributions of `SOURCE_GROUPS`, sorted. Installing tests or tools does not change them."""
    texts = [(REPOSITORY / "infra" / "locks" / f"{group}.txt").read_text() for group in SOURCE_GROUPS]
    return tuple(sorted({name for text in texts for name in re.findall(r"^([A-Za-z0-9._-]+)==", text, re.MULTILINE)}))

"""Installed packages count by their version."""

import importlib.metadata
from collections.abc import Callable

from components.extensions import Extension
from components.extensions.installed import ABSENT, imported_from_outside, versions_of

TEXT = """
import json
import numpy.linalg
from components.errors import require
from sklearn import metrics

try:
    import nowhere_to_be_had
except ImportError:
    nowhere_to_be_had = None


class Own:
    pass
"""


def test_distributions_count_by_version_and_the_standard_library_and_ours_do_not(of: Callable[..., Extension]) -> None:
    versions = versions_of(of(TEXT))
    wanted = {name: importlib.metadata.version(name) for name in ("numpy", "scikit-learn")}
    assert versions == {"nowhere_to_be_had": ABSENT, **wanted}


def test_what_is_imported_from_outside_is_known_by_its_dotted_name(of: Callable[..., Extension]) -> None:
    assert {"numpy.linalg", "components.errors", "json"} <= imported_from_outside(of(TEXT))

"""Which options of a run fit `--on`; tests/workflows/commands/cluster/test_submission.py tests the submission itself."""

from typing import Any

import pytest

from components.errors import ConfigError
from workflows.cli.on_cluster import require_options_fit

NOTHING: dict[str, Any] = {"profile": "", "follow": False, "upload": False, "stores": False}


@pytest.mark.parametrize(
    ("on", "options"),
    [("here", {}), ("here", {"stores": True}), ("cluster", {}), ("cluster", {"profile": "site", "follow": True, "upload": True})],
)
def test_options_that_go_together_are_taken(on: str, options: dict[str, Any]) -> None:
    require_options_fit(on, **{**NOTHING, **options})


@pytest.mark.parametrize(
    ("on", "options", "message"),
    [
        ("moon", {}, "--on moon: allowed: here, cluster"),
        ("here", {"profile": "site"}, "add --on cluster"),
        ("here", {"follow": True}, "add --on cluster"),
        ("cluster", {"stores": True}, "not allowed with --on cluster"),
        ("here", {"upload": True}, "add --on cluster"),
    ],
)
def test_options_that_do_not_are_refused(on: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        require_options_fit(on, **{**NOTHING, **options})

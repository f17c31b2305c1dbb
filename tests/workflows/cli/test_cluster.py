"""Which options of a run go with a cluster; tests/workflows/commands/test_cluster.py has the commands themselves."""

from typing import Any

import pytest
import typer

from components.errors import ConfigError
from workflows.cli.cluster import print_findings, require_options_fit
from workflows.commands.doctor import finding

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
        ("cluster", {"stores": True}, "are the profile's on a cluster"),
        ("here", {"upload": True}, "add --on cluster"),
    ],
)
def test_options_that_do_not_are_refused(on: str, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        require_options_fit(on, **{**NOTHING, **options})


def test_a_failed_finding_fails_the_command_after_all_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    findings = [finding("disk", False, "full", "free some space", bad="warning"), finding("home", True, "/home", "")]
    print_findings(findings, as_json=False)
    with pytest.raises(typer.Exit):
        print_findings([*findings, finding("python", False, "3.9", "make install")], as_json=False)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["warning", "disk", "full", "->", "free", "some", "space"]
    assert lines[-1].split() == ["failed", "python", "3.9", "->", "make", "install"]

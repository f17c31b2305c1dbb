"""`longrun run` as a script calls it: event lines, exit codes, and a hook at the end."""

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.commands import longrun
from tests.workflows.test_scripts import EVENTS, documented
from workflows.steps.journal import find_journal

pytestmark = pytest.mark.ray


def hook(folder: Path, exit_code: int) -> dict[str, str]:
    """An environment with a hook that keeps what it got, and ends with this code."""
    path = folder / "hook"
    body = f"import sys\nopen({str(folder / 'told')!r}, 'w').write(sys.stdin.read())\nsys.exit({exit_code})"
    path.write_text(f"#!{sys.executable}\n{body}\n")
    path.chmod(0o755)
    return {**os.environ, "LONGRUN_HOOK": str(path)}


def undocumented(events: list[dict[str, Any]]) -> list[str]:
    """What events have or lack against the page."""
    wrong = []
    for event in events:
        always, sometimes = documented(event["event"]) if event["event"] in EVENTS else (set(), set())
        fields = event.keys() - {"event", "time"}
        wrong += [f"{event['event']}.{name}" for name in (fields - always - sometimes) | (always - fields)]
    return wrong


def test_json_prints_only_documented_events_and_ends_with_how_the_run_ended(copy: Path, tmp_path: Path) -> None:
    ended = longrun("run", "tiny", "--json", home=copy, environment=hook(tmp_path, 0))
    assert ended.returncode == 0, ended.stderr
    events = [json.loads(line) for line in ended.stdout.splitlines()]
    assert undocumented(events) == []
    assert (events[0]["event"], events[-1]["event"], events[-1]["exit_code"]) == ("run", "finished", 0)
    assert "cached  curation" in ended.stderr
    told = json.loads((tmp_path / "told").read_text())
    assert told == {"run": events[0]["run"], "recipe": "tiny", "model": "tiny/1", "failed": False, "exit_code": 0}


def test_the_journal_of_a_run_that_made_everything_has_only_documented_events(finished: Path) -> None:
    events = find_journal(finished / "runs", "latest").events()
    assert {"run", "started", "made", "kept", "registered", "finished"} <= {event["event"] for event in events}
    assert undocumented(events) == []


def test_a_failed_check_has_its_exit_code_in_every_way_and_a_failing_hook_changes_nothing(copy: Path, tmp_path: Path) -> None:
    limit = "checks.corpus.min_validation_documents=100000"
    ended = longrun("run", "tiny", "--json", "--set", limit, home=copy, environment=hook(tmp_path, 9))
    assert ended.returncode == 3
    *_, last, failed_hook = [json.loads(line) for line in ended.stdout.splitlines()]
    assert (last["event"], last["error"], last["exit_code"]) == ("finished", "CheckFailed", 3)
    assert (failed_hook["event"], failed_hook["message"]) == (
        "hook_failed",
        "the program in $LONGRUN_HOOK ended with exit code 9",
    )
    assert json.loads((tmp_path / "told").read_text())["exit_code"] == 3
    assert "warning: the program in $LONGRUN_HOOK ended with exit code 9" in ended.stderr
    assert longrun("logs", "latest", home=copy).returncode == 3

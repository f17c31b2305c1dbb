"""Events as lines of JSON on standard output, with everything else on standard error."""

import json
import subprocess
import sys
from pathlib import Path

BODY = """
import os, sys
from workflows.commands.event_lines import events_on_standard_output
from workflows.steps.journal import show

with events_on_standard_output():
    print("a print")
    os.write(1, b"native code\\n")
    os.system("echo a child")
    show("started", step="curation")
    for number in range(EVENTS):
        show("progress", step="curation", done=number, total=10, unit="documents")
    print("still there", file=sys.stderr)
print("afterwards")
"""


def script(events: int) -> list[str]:
    return [sys.executable, "-c", BODY.replace("EVENTS", str(events))]


def test_standard_output_has_the_events_and_standard_error_everything_else() -> None:
    ended = subprocess.run(script(2), capture_output=True, text=True, check=True)
    *lines, last = ended.stdout.splitlines()
    assert [json.loads(line)["event"] for line in lines] == ["started", "progress", "progress"]
    assert last == "afterwards"
    assert {"a print", "native code", "a child", "still there"} <= set(ended.stderr.splitlines())


def test_a_reader_that_goes_away_ends_nothing(tmp_path: Path) -> None:
    with subprocess.Popen(script(5000), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert "still there" in process.stderr.read()


def test_a_full_disk_ends_nothing() -> None:
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run(script(2), stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert "still there" in ended.stderr

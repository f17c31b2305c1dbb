"""What a user at a terminal sees of a run."""

import io

import pytest
from rich.console import Console

from workflows.commands.display import Display, orchestration_share, totals
from workflows.steps.journal import Event


def test_the_notes_of_a_step_are_shown_when_it_is_made_or_cached() -> None:
    stream = io.StringIO()
    with Display(Console(file=stream, width=160)) as display:
        figures = {"tokens": 2_000_000, "notes": ["web/zh: 5.00 epochs [of] 100000 tokens"]}
        display({"event": "made", "step": "scaling", "seconds": 1.0, "figures": figures})
        display({"event": "cached", "step": "scaling", "figures": figures})
        display({"event": "made", "step": "registration", "seconds": 1.0, "figures": {}})
    lines = [line for line in stream.getvalue().splitlines() if line.strip()]
    assert [line.split()[0] for line in lines] == ["made", "note:", "cached", "note:", "made"]
    assert lines[1].endswith("note: web/zh: 5.00 epochs [of] 100000 tokens")


def test_the_warnings_of_a_step_are_shown_when_it_is_made_or_cached() -> None:
    stream = io.StringIO()
    warning = "chats.jsonl: 84 of 200 conversations (42 %) left out as too-long; first: [c].jsonl#3; change sft.max_length"
    with Display(Console(file=stream, width=200)) as display:
        for event in ("made", "cached"):
            display({"event": event, "step": "sft", "seconds": 1.0, "figures": {"left_out": 84, "warnings": [warning]}})
    lines = [line.strip() for line in stream.getvalue().splitlines() if line.strip()]
    assert [line.split()[0] for line in lines] == ["made", "warning:", "cached", "warning:"]
    assert lines[1] == lines[3] == f"warning: {warning}"


EVENTS: list[Event] = [
    {"event": "started", "step": "curation"},
    {"event": "made", "step": "curation", "seconds": 120.0, "component_seconds": 90.0, "figures": {"documents": 1234567}},
    {"event": "cached", "step": "tokenizer", "figures": {"tokens": 512, "fertility": 0.25}},
    {"event": "registered", "model": "tiny/1", "new": True},
]


def test_the_end_counts_steps_and_names_the_longest_without_repeating_the_lines_above() -> None:
    assert totals(EVENTS, 200.0) == "1 of 2 steps made, the others cached, in 3 min 20 s: curation 60%"
    assert totals(EVENTS[2:], 2.0) == "0 of 1 steps made, the others cached, in 2.0 s"


def test_what_was_not_component_work_is_orchestration() -> None:
    assert orchestration_share(EVENTS, 100.0) == pytest.approx(0.1)


def test_rates_and_the_remaining_time_count_only_what_this_attempt_has_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workflows.commands.display._QUIET_SECONDS", -1.0)
    stream = io.StringIO()
    with Display(Console(file=stream, width=160)) as display:
        progress = {"event": "progress", "step": "pretraining", "total": 200, "unit": "steps"}
        for done in (1, 90):  # an earlier attempt's steps, which are reported again at once
            display({**progress, "time": 1000.0, "done": done})
        display({"event": "resumed", "time": 1000.0, "step": "pretraining", "done": 90})
        display({**progress, "time": 1010.0, "done": 100})
    lines = [line.strip() for line in stream.getvalue().splitlines() if line.strip()]
    assert lines[-2:] == ["resumed pretraining from step 90", "pretraining: 100 of 200 steps  1 steps/s, 1 min 40 s left"]

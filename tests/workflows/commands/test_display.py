"""What a user at a terminal sees of a run."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from infra.settings import Settings
from workflows.commands.display import Display, next_commands, orchestration_share, summary
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


EVENTS: list[Event] = [
    {"event": "started", "step": "curation"},
    {"event": "made", "step": "curation", "seconds": 120.0, "component_seconds": 90.0, "figures": {"documents": 1234567}},
    {"event": "cached", "step": "tokenizer", "figures": {"tokens": 512, "fertility": 0.25}},
    {"event": "registered", "model": "tiny/1", "new": True},
]


def test_the_table_has_a_row_for_each_step_that_was_made_or_cached_and_the_time_of_all() -> None:
    stream = io.StringIO()
    Console(file=stream, width=120).print(summary(EVENTS, 200.0))
    rows = [line.split() for line in stream.getvalue().splitlines()[1:]]
    assert rows == [
        ["curation", "made", "2", "min", "00", "s", "documents", "1", "234", "567"],
        ["tokenizer", "cached", "tokens", "512,", "fertility", "0.25"],
        ["total", "3", "min", "20", "s"],
    ]


def test_what_was_not_component_work_is_orchestration() -> None:
    assert orchestration_share(EVENTS, 100.0) == pytest.approx(0.1)


def test_the_next_commands_are_about_the_registered_model_and_its_home(tmp_path: Path) -> None:
    commands = next_commands(EVENTS, Settings(home=tmp_path))
    assert f"  longrun lineage tiny/1 --home {tmp_path}" in commands
    assert commands[-1] == f"  mlflow ui --backend-store-uri sqlite:///{tmp_path}/mlflow/mlflow.db"
    assert not [command for command in next_commands(EVENTS[:1], Settings(home=tmp_path)) if "lineage" in command]

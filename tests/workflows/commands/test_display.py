"""What a person at a terminal sees of a run."""

import io

from rich.console import Console

from workflows.commands.display import Display


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

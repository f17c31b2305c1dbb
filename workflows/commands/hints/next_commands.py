"""The commands that are printed at the end of a run."""

import shlex
from collections.abc import Iterator

from infra.settings import Settings
from infra.urls import HERE
from workflows.commands.hints.program import pasted, tool
from workflows.commands.hints.prompts import example_message, example_prompt
from workflows.steps.journal import Journal

TEMPERATURE = "0.7"
"""Temperature of the example: a small model that always picks the most likely token repeats itself."""


def next_commands(journal: Journal, settings: Settings) -> list[str]:
    """What to do after a run, one command per line: try its models, read its pages, logs and records."""
    return ["next:", *(f"  {line}" for line in _commands(journal, settings))]


def _commands(journal: Journal, settings: Settings) -> Iterator[str]:
    run, store = journal.name, settings.store
    registered = [event["model"] for event in journal.events() if event["event"] == "registered"]
    owner = registered[-1] if registered else run
    tuned = [step for step in ("dpo", "sft") if journal.find(step)]
    yield pasted(settings, "report", run)
    if journal.find("pretraining"):
        text = example_prompt(journal, store)
        yield pasted(settings, "generate", f"{owner}:base", text, "--raw", "--temperature", TEMPERATURE)
    if tuned and (message := example_message(journal, store)):
        yield pasted(settings, "generate", owner if registered else f"{run}:{tuned[0]}", message)
    if journal.find("curation"):
        yield pasted(settings, "inspect", run)
    if registered or journal.find("pretraining"):
        yield pasted(settings, "lineage", owner)
    if registered:
        yield pasted(settings, "verify", owner)
    yield pasted(settings, "logs", run)
    here = settings.mlflow_uri == HERE
    yield f"{tool('mlflow')} ui --backend-store-uri {shlex.quote(settings.tracking_uri)}" if here else settings.mlflow_uri

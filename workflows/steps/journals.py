"""The journals of runs: of this home, or of a cluster, whose pods leave their events in its store."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from components.errors import ConfigError
from components.files import write_text
from infra.settings import Settings
from workflows.steps.journal import Journal, find_journal

if TYPE_CHECKING:
    from infra.run_events import RunEvents


def journal_of(settings: Settings, run: str) -> Journal:
    """The journal of a run by its id, a unique prefix of it, or `latest`; of a cluster, where `settings` look at one.

    Raises:
        ConfigError: no such run, or more than one.
        StoreError: the cluster's store cannot be reached.
    """
    if not settings.profile:
        return find_journal(settings.runs, run)
    known = _events(settings.artifact_root).runs()
    matching = known[-1:] if run == "latest" else [name for name in known if name.startswith(run.removeprefix("r"))]
    if len(matching) != 1:
        recent, where = ", ".join(known[-3:]) or "none yet", f"of profile {settings.profile}"
        raise ConfigError(f"run {run!r} matches {len(matching)} runs {where}; allowed: latest, or the start of one of: {recent}")
    return _fetched(settings, matching[0])


def journals(settings: Settings) -> Iterator[Journal]:
    """All journals, newest first. Raises `StoreError` where a cluster's store cannot be reached."""
    if settings.profile:
        yield from (_fetched(settings, run) for run in reversed(_events(settings.artifact_root).runs()))
    elif settings.runs.is_dir():
        yield from map(Journal, sorted(settings.runs.iterdir(), reverse=True))


def _fetched(settings: Settings, run: str) -> Journal:
    return stored_journal(settings.artifact_root, run, settings.copies / "runs")


def stored_journal(root: str, run: str, folder: Path) -> Journal:
    """The journal of a run on a cluster whose store is at `root`, put together in `folder`; empty where it is not known there.

    Raises:
        StoreError: the store cannot be reached.
    """
    lines = sorted(_events(root).lines(run), key=_time)
    journal = Journal(folder / run)
    journal.directory.mkdir(parents=True, exist_ok=True)
    write_text(journal.path, "".join(f"{line}\n" for line in lines))
    return journal


def _events(root: str) -> "RunEvents":
    # the client of a store takes a tenth of a second to import
    from infra.run_events import RunEvents

    return RunEvents(root)


def _time(line: str) -> float:
    try:
        return float(json.loads(line)["time"])
    except (ValueError, KeyError, TypeError):
        return 0.0

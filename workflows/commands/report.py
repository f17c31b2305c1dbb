"""`longrun report RUN`: the page of a run, from its journal, series and artifacts, here or on a cluster."""

from pathlib import Path

from infra.settings import Settings
from workflows.reports.gather import write_report
from workflows.steps.journals import BEGUN, journal_of
from workflows.steps.stages import STAGES


def report_path(settings: Settings, run: str, output: Path | None) -> Path:
    """Write the page of a run to `output`, else to the directory of the run; returns its path.

    Raises:
        ConfigError: there is no such run.
        StoreError: the bucket cannot be reached.
    """
    steps = tuple(step for group in STAGES.values() for step in group)
    return write_report(settings, journal_of(settings, run, steps, BEGUN), output)

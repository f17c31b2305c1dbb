"""The report of a run is gathered from its journal, its series and what is left of its artifacts."""

import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from components.artifacts import Artifact, Checkpoint, Corpus, Manifest
from components.ports import LocalArtifactStore
from components.ports.store import records_of
from components.series import SeriesWriter
from components.training.history import write_history
from infra.settings import Settings
from workflows.reports.gather import leave_report, report_of, write_report
from workflows.steps.journal import Journal, open_journal

HISTORY = [
    {"step": step, "loss": 3.0 / step, "learning_rate": 1e-3, "gradient_norm": 1.0, "tokens": 100 * step} for step in (1, 2, 3)
]
KEPT = [
    ("web", "prose", "en", "", 600),
    ("web", "prose", "de", "", 200),
    ("books", "prose", "en", "", 200),
    ("web", "code", "", "", 5),
]


@pytest.fixture
def home(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path)


def published(home: Settings, step: str, kind: type[Artifact], tables: dict[str, pa.Table]) -> Artifact:
    """An artifact with these tables in `metrics/`."""
    store = LocalArtifactStore(home.home)
    with store.writing(step) as output:
        (output / "metrics").mkdir()
        for name, table in tables.items():
            pq.write_table(table, output / "metrics" / name)
        manifest = Manifest(
            step=step,
            kind=kind.__name__,
            cache_key="k" * 64,
            config={},
            code_digest="c" * 64,
            environment_digest="e" * 64,
            files=records_of(output, kind),
        )
        return store.publish(output, manifest)


@pytest.fixture
def artifacts(home: Settings, tmp_path: Path) -> dict[str, Artifact]:
    """A corpus, and a checkpoint that was trained on it."""
    refusals = pa.Table.from_pylist(
        [
            {"source": source, "domain": domain, "language": language, "reason": reason, "documents": 1, "bytes": size}
            for source, domain, language, reason, size in [*KEPT, ("web", "prose", "en", "short", 999)]
        ]
    )
    seen = {"tokens/prose": [10, 20, 400], "tokens/prose/de": [1, 2, 100], "tokens/code": [1, 2, 50]}
    write_history(HISTORY, tmp_path / "table.parquet", {name: np.array(values) for name, values in seen.items()})
    return {
        "curation": published(home, "curation", Corpus, {"refusals.parquet": refusals}),
        "pretraining": published(
            home, "pretraining", Checkpoint, {"training.parquet": pq.read_table(tmp_path / "table.parquet")}
        ),
    }


def run_of(home: Settings, name: str, event: str, artifacts: dict[str, Artifact]) -> Journal:
    """A run that made or reused these artifacts."""
    journal = open_journal(home.runs, name)
    journal.write("run", recipe="tiny")
    for step, artifact in artifacts.items():
        journal.write(event, step=step, **artifact.pinned, figures={"tokens": 450}, seconds=1.0)
    return journal


def test_a_reused_training_has_the_series_of_the_run_that_made_it(home: Settings, artifacts: dict[str, Artifact]) -> None:
    first = run_of(home, "20260101-000000-aaaa", "made", artifacts)
    SeriesWriter(first.series("pretraining")).append(1, {"loss": 3.0, "tokens_per_second": 7.0})
    second = run_of(home, "20260102-000000-bbbb", "cached", artifacts)
    (training,) = report_of(home, second).trainings
    assert training.series.points("tokens_per_second") == [(1, 7.0)]
    assert training.state == "cached"


def test_without_a_series_the_table_in_the_artifact_is_shown(home: Settings, artifacts: dict[str, Artifact]) -> None:
    (training,) = report_of(home, run_of(home, "20260101-000000-aaaa", "made", artifacts)).trainings
    assert training.series.points("loss") == [(1, 3.0), (2, 1.5), (3, 1.0)]


def test_tokens_seen_are_those_of_each_portion_divided_by_bytes_of_the_corpus(
    home: Settings, artifacts: dict[str, Artifact]
) -> None:
    report = report_of(home, run_of(home, "20260101-000000-aaaa", "made", artifacts))
    seen = {(row.source, row.domain, row.language): row.tokens for row in report.seen}
    assert seen[("web", "prose", "de")] == 100
    assert seen[("web", "code", "")] == 50
    # The other languages of the domain share the tokens that are not of a portion of their own
    assert seen[("web", "prose", "en")] == pytest.approx(300 * 600 / 800)
    assert sum(seen.values()) == pytest.approx(450)


def test_what_was_deleted_is_left_out_and_the_page_is_still_written(home: Settings, artifacts: dict[str, Artifact]) -> None:
    journal = run_of(home, "20260101-000000-aaaa", "made", artifacts)
    shutil.rmtree(home.home / "artifacts")
    report = report_of(home, journal)
    assert (report.seen, len(report.trainings[0].series.steps)) == ((), 0)
    assert [step for step, warning in report.warnings if "was deleted" in warning] == ["curation", "pretraining"]
    assert write_report(home, journal).is_file()


def test_a_page_that_cannot_be_written_at_the_end_of_a_run_is_a_warning(
    home: Settings, artifacts: dict[str, Artifact], caplog: pytest.LogCaptureFixture
) -> None:
    journal = run_of(home, "20260101-000000-aaaa", "made", artifacts)
    (journal.directory / "report.html").mkdir()
    leave_report(home, journal)
    assert f"the report of run {journal.name} could not be written" in caplog.text

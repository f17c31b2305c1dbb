"""`longrun report` writes the page of the newest run of a recipe, also while it is running and after it failed."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from typer.testing import CliRunner

from components.errors import ConfigError
from components.series import SeriesWriter
from infra.run_events import RunEvents
from infra.settings import Settings
from tests.infra.s3_server import BUCKET, bucket
from tests.pictures.of_a_run import NoBrowserError, browser
from workflows.cli.main import app
from workflows.commands.report import report_path
from workflows.steps.journal import Journal, open_journal


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    """A run that is training."""
    journal = open_journal(tmp_path / "runs", "20260101-000000-aaaa")
    journal.write("run", recipe="tiny", changes=["pretraining.tokens=1000"])
    scratch = tmp_path / "scratch" / "pretraining" / "key"
    journal.write("started", step="pretraining", config={}, scratch=str(scratch))
    writer = SeriesWriter(journal.series("pretraining"))
    for step in range(1, 31):
        spike = {"spike": 1.0} if step == 20 else {}
        writer.append(step, {"loss": 9.0 if spike else 3 - step / 30, "learning_rate": 1e-3, "gradient_norm": 1.0, **spike})
    scratch.mkdir(parents=True)
    sequence = {"domain": "code", "start": 64, "documents": ["d1", "d2"]}
    incident = {"step": 20, "reason": "loss 9, a spike", "sequences": [sequence]}
    (scratch / "incidents.jsonl").write_text(json.dumps(incident))
    return journal


def test_a_running_training_is_shown_with_its_spike_and_the_documents_of_that_step(tmp_path: Path, journal: Journal) -> None:
    page = report_path(Settings(home=tmp_path), "latest", None)
    assert page == journal.directory / "report.html"
    text = page.read_text()
    assert "pretraining.tokens=1000" in text
    assert 'href="#pretraining-20"' in text
    assert "d1 d2" in text
    assert "30 steps so far" in " ".join(text.split())


def test_a_failed_run_shows_its_error(tmp_path: Path, journal: Journal) -> None:
    journal.write("failed", step="pretraining", message="step 31: loss nan", error="TrainingError", known=True)
    journal.write("finished", failed=True, message="step 31: loss nan")
    text = report_path(Settings(home=tmp_path), "latest", tmp_path / "own" / "page.html").read_text()
    assert "step 31: loss nan" in text
    assert "before it stopped" in text


def test_the_command_prints_the_path_and_latest_is_the_newest_run_with_a_step(tmp_path: Path, journal: Journal) -> None:
    open_journal(tmp_path / "runs", "20260102-000000-bbbb").write("submitted", recipe="tiny")
    result = CliRunner().invoke(app, ["report", "--home", str(tmp_path), "--json"])
    assert json.loads(result.output) == {"report": str(journal.directory / "report.html")}
    shutil.rmtree(tmp_path / "runs")
    with pytest.raises(ConfigError, match="make one with: longrun run"):
        report_path(Settings(home=tmp_path), "latest", None)


def test_a_browser_draws_the_page_and_its_marks(tmp_path: Path, journal: Journal) -> None:
    try:
        program = browser()
    except NoBrowserError as error:
        pytest.skip(str(error))
    page = report_path(Settings(home=tmp_path), "latest", None)
    words = [program, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
    words += [f"--user-data-dir={tmp_path / 'browser'}", "--virtual-time-budget=2000", "--dump-dom", page.as_uri()]
    ended = subprocess.run(words, capture_output=True, text=True, check=True, timeout=100)
    assert ended.stdout.count("<polyline") == 3
    assert 'id="pretraining-20"' in ended.stdout


def test_a_run_on_a_cluster_is_read_from_its_bucket(tmp_path: Path, journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    root = f"s3://{BUCKET}/longrun"
    with bucket(tmp_path / "log") as url:
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", url)
        stored = RunEvents(root)
        assert stored.offer(journal.name, "driver", journal.path.read_bytes()) == ""
        assert stored.offer_series(journal.name, "pretraining", journal.series("pretraining").read_bytes()) == ""
        there = Settings(home=tmp_path / "elsewhere", artifact_root=root, profile="site")
        page = report_path(there, "latest", None)
    assert page.is_relative_to(there.copies)
    assert "30 steps so far" in " ".join(page.read_text().split())
    assert 'href="#pretraining-20"' in page.read_text()

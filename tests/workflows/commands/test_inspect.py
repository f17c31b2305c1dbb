"""`longrun inspect` finds a corpus by its folder, its URI or a run, and writes its page whole."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from components.artifacts import Manifest
from components.errors import ConfigError, MissingArtifact
from components.ports import LocalArtifactStore
from components.ports.store import records_of
from infra.settings import Settings
from tests.components.curation.conftest import config, prose, run, source, write_jsonl
from workflows.cli.main import app
from workflows.commands.inspect import find_corpus, inspect
from workflows.steps.journal import open_journal


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """A home with a run that has curated."""
    write_jsonl(tmp_path / "a.jsonl", [*(prose(n) for n in range(8)), prose(3), "short"])
    run(config(source(tmp_path / "a.jsonl")), tmp_path / "plain")
    settings = Settings(home=tmp_path / "home")
    store = LocalArtifactStore(settings.home)
    output = tmp_path / "plain/corpus"
    manifest = Manifest(
        step="curation",
        kind="Corpus",
        cache_key="k" * 64,
        config={"seed": 0},
        code_digest="c",
        environment_digest="e",
        files=records_of(output),
    )
    with store.writing("curation") as writing:
        for path in output.rglob("*"):
            if path.is_file():
                (writing / path.relative_to(output)).parent.mkdir(parents=True, exist_ok=True)
                (writing / path.relative_to(output)).write_bytes(path.read_bytes())
        corpus = store.publish(writing, manifest)
    open_journal(settings.runs).write("made", step="curation", **corpus.pinned)
    return settings


def test_a_folder_an_uri_and_a_run_name_the_same_corpus(settings: Settings) -> None:
    (run_name,) = [path.name for path in settings.runs.iterdir()]
    (corpus,) = settings.store.artifacts()
    folder = settings.home / corpus.uri
    for name in (str(folder), corpus.uri, run_name, run_name[:10], "latest"):
        assert find_corpus(settings, name)[0].resolve() == folder.resolve()


def test_a_corpus_without_a_manifest_is_inspected_too(settings: Settings, tmp_path: Path) -> None:
    counts = inspect(settings, str(tmp_path / "plain/corpus"), tmp_path / "pages/one.html")
    assert counts.page == str(tmp_path / "pages/one.html")
    assert (counts.documents, counts.kept_documents) == (10, 8)
    assert counts.not_kept == {"exact-duplicate": 1, "short": 1}
    assert [path.name for path in (tmp_path / "pages").iterdir()] == ["one.html"]


def test_the_command_says_where_the_page_is(settings: Settings) -> None:
    result = CliRunner().invoke(app, ["inspect", "latest", "--home", str(settings.home), "--json"])
    assert result.exit_code == 0
    page = Path(json.loads(result.stdout)["page"])
    assert page.parent == settings.home / "inspected"
    assert "8 of 10" not in page.read_text()
    shown = CliRunner().invoke(app, ["inspect", "--home", str(settings.home)])
    assert shown.stdout.splitlines() == ["8 of 10 documents kept; removed: 1 exact-duplicate, 1 short", str(page)]


def test_what_is_no_corpus_is_refused_with_what_is_allowed(settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"a directory without metrics/documents\.parquet"):
        find_corpus(settings, str(tmp_path))
    with pytest.raises(ConfigError, match="matches 0 runs"):
        find_corpus(settings, "nothing")
    with pytest.raises(ConfigError, match="allowed: a directory"):
        find_corpus(settings, "s3://bucket/elsewhere")
    with pytest.raises(MissingArtifact):
        find_corpus(settings, "artifacts/curation/none")
    open_journal(settings.runs, "99991231-000000-abcd")
    with pytest.raises(ConfigError, match="has not finished step curation"):
        find_corpus(settings, "99991231")

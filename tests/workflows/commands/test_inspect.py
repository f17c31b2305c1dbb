"""`longrun inspect` finds a corpus by its folder, its URI or a run, and writes its page whole."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from components.alignment.config import ConversationsConfig, PreferencePairsConfig
from components.alignment.conversations import make_conversations
from components.alignment.preference_pairs import make_preference_pairs
from components.artifacts import SPLITS, Artifact, GroupSplit, GroupSplits, Manifest, write_rows
from components.errors import ConfigError, MissingArtifact
from components.ports import LocalArtifactStore, SilentMetrics
from components.ports.store import records_of
from infra.settings import Settings
from tests.components.curation.conftest import config, prose, run, source, write_jsonl
from workflows.cli.main import app
from workflows.commands.inspect import Inspected, InspectedItems, find, inspect
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
        assert find(settings, name)[0].resolve() == folder.resolve()


def test_a_corpus_without_a_manifest_is_inspected_too(settings: Settings, tmp_path: Path) -> None:
    counts = inspect(settings, str(tmp_path / "plain/corpus"), "curation", tmp_path / "pages/one.html")
    assert counts.page == str(tmp_path / "pages/one.html")
    assert isinstance(counts, Inspected)
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
    with pytest.raises(ConfigError, match=r"a directory without one of metrics/documents\.parquet"):
        find(settings, str(tmp_path))
    with pytest.raises(ConfigError, match="matches 0 runs"):
        find(settings, "nothing")
    with pytest.raises(ConfigError, match="allowed: a directory"):
        find(settings, "s3://bucket/elsewhere")
    with pytest.raises(MissingArtifact):
        find(settings, "artifacts/curation/none")
    open_journal(settings.runs, "99991231-000000-abcd")
    with pytest.raises(ConfigError, match="has not finished step curation"):
        find(settings, "99991231")
    with pytest.raises(ConfigError, match="unknown step 'pairs'"):
        find(settings, "latest", "pairs")


def made(tmp_path: Path, settings: Settings) -> str:
    """A run that has made conversations and pairs of a user's files with a bad line each; the run's id."""
    asked = [[{"role": "user", "content": f"Why <b>{n}?"}, {"role": "assistant", "content": "Because \u202e."}] for n in (0, 1)]
    chats = [{"messages": messages, "split": split} for messages, split in zip(asked, SPLITS, strict=True)]
    pairs = [{"prompt": f"{n}?", "chosen": "the red one", "rejected": "the blue one", "split": s} for n, s in enumerate(SPLITS)]
    for name, lines in (("chats", chats), ("pairs", pairs)):
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in [*lines, {"text": "no"}]))
    corpus = tmp_path / "corpus"
    corpus.mkdir()
    write_rows(GroupSplit, [], corpus / GroupSplits.NAME)
    journal = open_journal(settings.runs, "20260101-000000-abcd")
    store = LocalArtifactStore(settings.home)
    with store.writing("conversations") as writing:
        make_conversations(ConversationsConfig(sources=(str(tmp_path / "chats.jsonl"),)), corpus=corpus, output=writing)
        conversations = _published(store, writing, "conversations")
    config = PreferencePairsConfig(kinds=(), sources=(str(tmp_path / "pairs.jsonl"),))
    inputs = {"conversations": settings.home / conversations.uri, "checkpoint": tmp_path, "metrics": SilentMetrics()}
    with store.writing("preference_pairs") as writing:
        make_preference_pairs(config, output=writing, **inputs)
        preferences = _published(store, writing, "preference_pairs")
    journal.write("made", step="conversations", **conversations.pinned)
    journal.write("made", step="preference_pairs", **preferences.pinned)
    return journal.name


def _published(store: LocalArtifactStore, writing: Path, step: str) -> Artifact:
    digests = {"cache_key": "k" * 64, "code_digest": "c", "environment_digest": "e"}
    manifest = Manifest(step=step, kind="Artifact", config={"seed": 0}, files=records_of(writing), **digests)
    return store.publish(writing, manifest)


def test_conversations_and_pairs_of_a_run_have_pages_too(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "home")
    run_name = made(tmp_path, settings)
    conversations = inspect(settings, run_name, "conversations", tmp_path / "conversations.html")
    assert conversations.lines[0] == "1 in train, 1 in validation; left out: 1 missing-field"
    page = (tmp_path / "conversations.html").read_text()
    assert "Why &lt;b&gt;0?" in page
    assert "⟨U+202E⟩" in page
    assert "chats.jsonl#3: `messages` is missing" in page.replace("&#39;", "'")
    pairs = inspect(settings, "latest", "preference_pairs", None)
    assert isinstance(pairs, InspectedItems)
    assert (pairs.items, pairs.omitted) == ({"train": 1, "validation": 1}, {"missing-field": 1})
    assert "<ins>red</ins>" in Path(pairs.page).read_text()
    assert "<del>blue</del>" in Path(pairs.page).read_text()


def test_the_command_takes_a_step(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "home")
    made(tmp_path, settings)
    result = CliRunner().invoke(app, ["inspect", "latest", "preference_pairs", "--home", str(settings.home), "--json"])
    assert result.exit_code == 0, result.output
    assert json.loads(result.stdout)["omitted"] == {"missing-field": 1}

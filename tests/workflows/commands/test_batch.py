"""`longrun batch` reads what a step saw from the run's record, finished or not, wherever artifacts are kept."""

import json
import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from components.errors import ConfigError
from components.pretraining.config import PretrainingConfig
from components.raw_files import RawRecord, write_raw
from infra.caching import as_json
from infra.settings import Settings
from infra.urls import HERE
from tests.components.pretraining.conftest import PLAN, write_plan, write_token_shards
from tests.components.registration.conftest import tokenizer_directory
from tests.workflows.conftest import published
from workflows.commands.batch import BatchDocument, BatchSequence, batch, batch_lines
from workflows.steps.journal import Journal, open_journal

__all__ = ["tokenizer_directory"]

CONFIG: dict[str, Any] = json.loads(json.dumps(as_json(PretrainingConfig(seed=3))))


@pytest.fixture
def settings(any_home: Settings, tmp_path: Path) -> Settings:
    """A home with a run that is in the middle of pretraining."""
    shards = published(any_home, "token_shards", write_token_shards(tmp_path / "token-shards"))
    plan = published(any_home, "scaling", write_plan(tmp_path / "plan", PLAN))
    journal = open_journal(any_home.runs)
    journal.write("cached", step="token_shards", **shards.pinned)
    journal.write("made", step="scaling", **plan.pinned)
    journal.write("started", step="pretraining", config=CONFIG)
    return any_home


def test_a_step_of_an_unfinished_run_has_its_sequences_with_their_documents(settings: Settings) -> None:
    rows = batch(settings, "latest", 12)
    assert len(rows) == PLAN.batch_size
    assert {row.domain for row in rows} == {"code", "prose"}
    assert all(row.documents for row in rows)
    assert batch(settings, "latest", 11) != rows
    assert sum(line.startswith("sequence ") for line in batch_lines(rows)) == len(rows)


def seen(rows: list[BatchSequence]) -> list[tuple[str, int, list[str]]]:
    """What was trained on, without texts."""
    return [(row.domain, row.start, [document.id for document in row.documents]) for row in rows]


def test_a_run_that_failed_or_reused_its_base_model_has_them_too(settings: Settings, tmp_path: Path) -> None:
    rows = seen(batch(settings, "latest", 12))
    (started,) = (Journal(directory) for directory in settings.runs.iterdir())
    started.write("failed", step="pretraining", error="TrainingError", message="step 12: loss 9, a spike", known=True)
    started.write("finished", failed=True, message="step 12: loss 9, a spike")
    assert seen(batch(settings, "latest", 12)) == rows
    reusing = Journal(settings.runs / "20990101-000000-0000")
    for event in started.events()[:2]:
        reusing.write(**event | {"event": "cached"})
    base = published(settings, "pretraining", tmp_path / "plan", CONFIG)
    reusing.write("cached", step="pretraining", **base.pinned, figures={})
    assert seen(batch(settings, "latest", 12)) == rows


def test_tokens_are_not_brought_from_a_bucket(settings: Settings) -> None:
    batch(settings, "latest", 12)
    assert any(settings.home.rglob("*.bin")) == (settings.artifact_root == HERE)


@pytest.mark.parametrize("step", [0, 13])
def test_a_step_that_there_is_not_is_refused(settings: Settings, step: int) -> None:
    with pytest.raises(ConfigError, match=rf"STEP is {step}; allowed for run .*: 1 to 12"):
        batch(settings, "latest", step)


def test_a_run_that_has_not_come_to_pretraining_is_refused(settings: Settings) -> None:
    shutil.rmtree(settings.runs)
    open_journal(settings.runs)
    with pytest.raises(ConfigError, match="has begun step pretraining; make one with: longrun run"):
        batch(settings, "latest", 1)


# Texts

LETTERS = "abcdefghijklmnopqrstuvwxyz"


@pytest.fixture
def read_settings(settings: Settings, tokenizer_directory: Path, tmp_path: Path) -> Settings:
    """The same, with the corpus and the tokenizer of the run: each document has 60 characters, of one token each."""
    corpus = tmp_path / "corpus"
    for domain in ("code", "prose"):
        rows = [
            {
                "id": f"{number:04d}",
                "text": (f"{domain} {number:04d} " + LETTERS * 3)[:60],
                "source": f"{domain}-jsonl",
                "uri": f"{domain}.jsonl#{number + 1}",
                "language": "en",
                "licence": "MIT",
            }
            for number in range(40)
        ]
        # two files: a document is looked for in the one that has it
        for index, inside in enumerate((rows[:15], rows[15:])):
            path = corpus / "documents" / "train" / domain / f"part-{index:05d}.parquet"
            path.parent.mkdir(parents=True, exist_ok=True)
            pq.write_table(pa.Table.from_pylist(inside), path)
    raw = [
        RawRecord(source=f"{domain}-jsonl", path=f"{domain}.jsonl", sha256="0", bytes=1, uri=f"/data/{domain}.jsonl")
        for domain in ("code", "prose")
    ]
    write_raw(raw, corpus)
    (journal,) = (Journal(directory) for directory in settings.runs.iterdir())
    journal.write("made", step="curation", **published(settings, "curation", corpus).pinned)
    journal.write("made", step="tokenizer", **published(settings, "tokenizer", tokenizer_directory).pinned)
    return settings


def test_each_document_is_shown_with_its_line_facts_beginning_and_span(read_settings: Settings) -> None:
    documents = [(row, document) for row in batch(read_settings, "latest", 12) for document in row.documents]
    assert documents
    for row, document in documents:
        number = int(document.id)
        assert (document.uri, document.line) == (f"/data/{row.domain}.jsonl", number + 1)
        assert (document.source, document.language, document.licence) == (f"{row.domain}-jsonl", "en", "MIT")
        assert document.text.startswith(f"{row.domain} {number:04d} ")
        assert document.span == document.text[max(document.first_token - 1, 0) : document.end_token - 1]
        assert document.missing == ""
    lines = batch_lines(batch(read_settings, "latest", 12))
    row, first = documents[0]
    assert f"  /data/{row.domain}.jsonl line {first.line}  ({row.domain}-jsonl, en, MIT)" in lines
    assert f"    tokens {first.first_token} to {first.end_token} of 62  {json.dumps(first.span)}" in lines


def test_a_text_is_cut_unless_the_whole_of_it_is_asked_for(read_settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workflows.commands.batch.SHOWN", 10)
    short, whole = (batch(read_settings, "latest", 12, whole=whole)[0].documents[0].text for whole in (False, True))
    assert (len(short), len(whole)) == (10, 60)
    assert f"    | {whole}" in batch_lines(batch(read_settings, "latest", 12, whole=True), whole=True)


def test_a_corpus_that_is_gone_is_said_and_ids_and_spans_stay(read_settings: Settings) -> None:
    store = read_settings.store
    for artifact in list(store.artifacts()):
        if artifact.uri.startswith("artifacts/curation/"):
            store.delete(artifact)
    documents = [document for row in batch(read_settings, "latest", 12) for document in row.documents]
    assert {document.text for document in documents} == {""}
    assert all("no finished artifact here" in document.missing for document in documents)
    assert any("not shown: " in line for line in batch_lines(batch(read_settings, "latest", 12)))


def test_a_file_of_the_corpus_that_is_damaged_costs_only_its_documents(read_settings: Settings) -> None:
    if read_settings.artifact_root != HERE:
        pytest.skip("a file in a bucket is not changed in place")
    (path,) = read_settings.home.glob("artifacts/curation/*/*/documents/train/code/part-00000.parquet")
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    documents = [
        (int(document.id), row.domain, document)
        for step in range(1, 13)
        for row in batch(read_settings, "latest", step)
        for document in row.documents
    ]
    lost = {(domain, number < 15) for number, domain, document in documents if document.missing}
    assert lost == {("code", True)}
    assert all("sha256 differs" in document.missing for *_, document in documents if document.missing)


def test_control_characters_of_a_document_do_not_reach_the_terminal() -> None:
    document = BatchDocument(id="a", uri="a.txt", tokens=9, first_token=0, end_token=9, text="\x1b[31mred", span="\x1b[31m")
    for whole in (False, True):
        lines = batch_lines([BatchSequence(domain="web", start=0, documents=(document,))], whole=whole)
        assert not any("\x1b" in line for line in lines)

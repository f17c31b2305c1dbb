"""What nothing needs: listed, deleted, and kept where a run or a registered model needs it."""

import subprocess
import sys
from pathlib import Path

import pytest

from components.artifacts import Artifact
from components.ports.unpublished import output_directory
from infra.mlflow import registry, tracking
from infra.settings import Settings
from tests.components.ports.store_suite import publish
from tests.paths import ROOT
from tests.workflows.conftest import published_corpus
from workflows.commands.gc.waste import KEPT_BY, PERMANENT, Waste, delete_waste, list_waste
from workflows.steps.journal import Journal, open_journal
from workflows.steps.lock import running, using
from workflows.steps.run import ray_state_of


def uris(settings: Settings, *keep: str) -> list[str]:
    return [entry.uri for entry in list_waste(settings, keep).waste]


def delete_all(settings: Settings, *keep: str) -> list[str]:
    return [entry.uri for entry in delete_waste(settings, list_waste(settings, keep).waste, keep)]


def register(settings: Settings, artifact: Artifact, name: str = "small") -> None:
    run = tracking.start_run(settings.tracking_uri, "run")
    where = {"source": str(settings.home / artifact.uri), "run_id": run, "alias": "candidate"}
    registry.register(settings.tracking_uri, name, artifact, **where, tags={})


@pytest.mark.parametrize("kind", Artifact.__subclasses__(), ids=lambda kind: kind.__name__)
def test_each_kind_of_artifact_says_itself_what_keeps_it(kind: type[Artifact]) -> None:
    assert vars(kind).get("KEPT_BY")


def test_a_kind_that_says_nothing_has_no_answer() -> None:
    assert not hasattr(Artifact, "KEPT_BY")


def test_gc_deletes_copies_in_the_home_and_nothing_in_the_bucket(bucket_home: Settings, raw: Path) -> None:
    artifact = published_corpus(bucket_home, raw)
    assert delete_all(bucket_home) == [artifact.uri]
    assert uris(bucket_home) == []
    assert bucket_home.store.differences(artifact) == []


def test_gc_deletes_copies_of_some_files_too(bucket_home: Settings, raw: Path) -> None:
    artifact = published_corpus(bucket_home, raw)
    delete_all(bucket_home)
    bucket_home.store.local(artifact, only=("shard",))
    assert list_waste(bucket_home, ()).waste == (Waste(uri=artifact.uri, kind="incomplete copy", bytes=1000),)
    delete_all(bucket_home)
    assert not any((bucket_home.home / "artifacts").rglob("shard"))
    assert bucket_home.store.differences(artifact) == []


@pytest.mark.parametrize("event", ["made", "cached", "kept", "uses"])
def test_what_a_named_run_has_made_reused_kept_or_continued_stays(used_home: Settings, event: str) -> None:
    needed = publish(used_home.store, step="token_shards", text="needed")
    other = publish(used_home.store, step="dpo", text="other")
    journal = open_journal(used_home.runs)
    journal.write(event, step="token_shards", **needed.pinned)
    assert delete_all(used_home, journal.name) == [other.uri]
    assert list(used_home.store.artifacts()) == [needed]


def test_what_a_running_run_uses_stays_until_it_ends(used_home: Settings) -> None:
    needed = publish(used_home.store, step="token_shards", text="needed")
    journal = open_journal(used_home.runs)
    journal.write("cached", step="token_shards", **needed.pinned)
    with running(journal, used_home.home):
        assert uris(used_home) == []
    assert uris(used_home) == [needed.uri]


def test_what_earlier_runs_of_a_running_recipe_made_stays_because_it_may_reuse_it(used_home: Settings) -> None:
    made = {recipe: publish(used_home.store, step="curation", text=recipe) for recipe in ("mine", "other")}
    for recipe, artifact in made.items():
        earlier = open_journal(used_home.runs)
        earlier.write("run", recipe=recipe)
        earlier.write("started", step="sft", cache_key=recipe * 8)
        earlier.write("made", step="curation", **artifact.pinned)
        (used_home.home / "scratch" / "sft" / (recipe * 8)[:16]).mkdir(parents=True)
    now = open_journal(used_home.runs)
    now.write("run", recipe="mine")
    with running(now, used_home.home):
        assert uris(used_home) == [made["other"].uri, f"scratch/sft/{'other' * 3}o"]


def test_checkpoints_of_a_stopped_training_stay_if_its_run_is_named(used_home: Settings) -> None:
    stopped = open_journal(used_home.runs)
    stopped.write("started", step="pretraining", cache_key="0123456789abcdef" * 4)
    (used_home.home / "scratch" / "pretraining" / "0123456789abcdef").mkdir(parents=True)
    assert uris(used_home) == ["scratch/pretraining/0123456789abcdef"]
    assert uris(used_home, stopped.name) == []


def test_what_a_process_writes_or_uses_stays_and_what_dead_processes_left_is_deleted(used_home: Settings) -> None:
    home, dead = used_home.home, open_journal(used_home.runs)
    for directory in ("scratch/pretraining/key", "scratch/curation-index/code", "writing/curation-1", "copies/site"):
        (home / directory).mkdir(parents=True)
        (home / directory / "file").write_bytes(b"x" * 100)
    ray_state_of(home, dead).mkdir(parents=True)
    with using(home / "scratch" / "curation-index" / "code"), output_directory(home, "sft") as output:
        kinds = {entry.uri: (entry.kind, entry.bytes) for entry in list_waste(used_home, ()).waste}
        assert kinds == {
            "copies/site": ("copies from a cluster", 100),
            "scratch/pretraining/key": ("checkpoints", 100),
            "writing/curation-1": ("unpublished output", 100),
            f"ray/{ray_state_of(home, dead).name}": ("state of Ray", 0),
        }
        assert len(delete_all(used_home)) == 4
        assert output.exists()
    assert delete_all(used_home) == ["scratch/curation-index/code"]
    assert {kind for kind, _ in kinds.values()} < KEPT_BY.keys()


def test_a_model_registered_after_the_list_was_shown_stays(used_home: Settings) -> None:
    model, other = (publish(used_home.store, step="registration", text=text) for text in ("model", "other"))
    shown = list_waste(used_home, ()).waste
    assert sorted(entry.uri for entry in shown) == sorted([model.uri, other.uri])
    register(used_home, model)
    assert [entry.uri for entry in delete_waste(used_home, shown, ())] == [other.uri]
    assert list(used_home.store.artifacts()) == [model]


def test_what_became_unneeded_after_the_list_was_shown_stays(used_home: Settings) -> None:
    shown = publish(used_home.store, step="dpo", text="shown")
    listed = list_waste(used_home, ()).waste
    later = publish(used_home.store, step="dpo", text="later")
    assert [entry.uri for entry in delete_waste(used_home, listed, ())] == [shown.uri]
    assert list(used_home.store.artifacts()) == [later]


def test_folders_of_a_directory_that_is_not_a_home_are_not_waste(tmp_path: Path) -> None:
    for directory in ("writing/novel", "scratch/paper/draft", "ray/tracer"):
        (tmp_path / directory).mkdir(parents=True)
    assert uris(Settings(home=tmp_path)) == []


def test_an_artifact_of_an_unknown_kind_is_kept_and_named(used_home: Settings) -> None:
    made = publish(used_home.store, text="words")
    path = used_home.home / made.uri / "manifest.json"
    assert b'"kind": "Corpus"' in path.read_bytes()
    newer = used_home.store.manifest(made.uri)
    object.__setattr__(newer, "kind", "Quilt")
    path.write_bytes(newer.to_bytes())
    listing = list_waste(used_home, ())
    assert (listing.waste, listing.unknown) == ((), (made.uri,))


def test_a_former_content_stays_while_a_journal_refers_to_it_and_goes_with_it(used_home: Settings) -> None:
    former, current = publish(used_home.store, text="former"), publish(used_home.store, text="current")
    journal = open_journal(used_home.runs)
    for artifact in (former, current):
        journal.write("made", step="curation", **artifact.pinned)
    assert delete_all(used_home) == [current.uri]
    assert list(used_home.store.artifacts()) == [former]
    assert uris(used_home) == []
    publish(used_home.store, text="current")
    (journal.directory / "events.jsonl").unlink()
    delete_all(used_home)
    assert not any((used_home.home / "artifacts").rglob("*.txt"))


def test_attempts_go_with_the_artifact_that_they_made_again(used_home: Settings) -> None:
    publish(used_home.store, started="1")
    publish(used_home.store, started="2")
    delete_all(used_home)
    assert [path for path in (used_home.home / "artifacts").rglob("*") if path.is_file()] == []


RUN = """
import sys
from pathlib import Path
from infra.settings import Settings
from tests.components.ports.store_suite import publish
from workflows.steps.journal import open_journal
from workflows.steps.lock import recording, running
settings = Settings(home=Path(sys.argv[1]))
run = open_journal(settings.runs)
with running(run, settings.home):
    print(run.name, flush=True)
    for number in range(60):
        with recording(settings.home):
            run.write("made", step="curation", **publish(settings.store, text=str(number % 50)).pinned)
        assert all((settings.home / artifact.uri / "manifest.json").is_file() for artifact in run.artifacts()), number
    sys.stdin.read()
"""


def test_gc_races_with_a_run_and_deletes_nothing_that_the_run_has_written_down(used_home: Settings) -> None:
    unneeded = [publish(used_home.store, step="dpo", text=str(number)).uri for number in range(20)]
    command = [sys.executable, "-c", RUN, str(used_home.home)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        run = Journal(used_home.runs / process.stdout.readline().strip())
        deleted = []
        while len(run.events()) < 60 and process.poll() is None:
            deleted += delete_all(used_home)
        assert process.communicate("") == ("", None)
        assert process.returncode == 0
    assert sorted(deleted) == sorted(unneeded)
    assert len(list(used_home.store.artifacts())) == 50


@pytest.mark.ray
def test_every_directory_of_a_home_is_deleted_by_kind_or_permanent_for_a_reason(finished: Path) -> None:
    deleted = {"artifacts", "copies", "ray", "scratch", "writing"}
    assert {path.name for path in finished.iterdir()} <= PERMANENT.keys() | deleted
    assert PERMANENT.keys() & deleted == {"artifacts"}

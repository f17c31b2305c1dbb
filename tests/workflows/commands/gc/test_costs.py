"""What a deletion costs: which run would do what again, and the totals by run and by kind."""

from dataclasses import replace
from pathlib import Path

from typer.testing import CliRunner

from components.artifacts import Artifact, Making
from infra.settings import Settings
from tests.components.ports.store_suite import fill, manifest_of
from workflows.cli.main import app
from workflows.commands.gc.costs import costs_of, kept_by, lines_of
from workflows.commands.gc.waste import list_waste
from workflows.steps.journal import Journal, open_journal


def made(settings: Settings, run: Journal, step: str, seconds: float) -> Artifact:
    """An artifact that a run made in that many seconds."""
    with settings.store.writing(step) as output:
        fill(output, step)
        manifest = replace(manifest_of(output, step=step), making=Making(measurements={"seconds": seconds}))
        artifact = settings.store.publish(output, manifest)
    run.write("made", step=step, **artifact.pinned)
    return artifact


def started(settings: Settings, run: Journal, step: str, *checkpoints: int) -> Path:
    """The scratch directory of a training that was stopped after these checkpoints."""
    run.write("started", step=step, cache_key="0123456789abcdef" * 4)
    directory = settings.home / "scratch" / step / "0123456789abcdef"
    for number in checkpoints:
        (directory / "checkpoints" / f"step-{number:08d}").mkdir(parents=True)
        (directory / "checkpoints" / f"step-{number:08d}" / "state").write_bytes(b"x" * 2**20)
    return directory


def texts(settings: Settings) -> dict[str, str]:
    return {cost.waste.uri: cost.text for cost in costs_of(settings, list_waste(settings, ()))}


def test_a_deletion_costs_what_its_newest_run_would_do_again(used_home: Settings) -> None:
    run, later = (open_journal(used_home.runs, f"20261130-20450{number}-abcd") for number in (1, 2))
    corpus = made(used_home, run, "curation", 12.0)
    base = made(used_home, run, "pretraining", 600.0)
    later.write("cached", step="pretraining", **base.pinned)
    assert texts(used_home) == {
        corpus.uri: f"run {run.name} would make curation again, 12 s",
        base.uri: f"run {later.name} would train pretraining again, 600 s",
    }


def test_checkpoints_cost_the_steps_that_are_done(used_home: Settings) -> None:
    run = open_journal(used_home.runs)
    directory = started(used_home, run, "pretraining", 10, 200)
    (used_home.home / "scratch" / "curation-index" / "code").mkdir(parents=True)
    assert texts(used_home) == {
        "scratch/curation-index/code": "a changed curation would read and hash all sources again",
        directory.relative_to(used_home.home).as_posix(): (
            f"run {run.name} would start pretraining over instead of continuing from step 200"
        ),
    }


def test_totals_are_by_run_and_by_kind_with_what_keeps_it(used_home: Settings) -> None:
    run = open_journal(used_home.runs)
    run.write("run", recipe="tiny")
    made(used_home, run, "curation", 12.0)
    started(used_home, run, "pretraining", 10)
    (used_home.home / "writing" / "sft-1").mkdir(parents=True)
    listing = list_waste(used_home, ())
    lines = lines_of(costs_of(used_home, listing), listing)
    assert any(line.startswith(f"{run.name} (tiny)") and "2 directories" in line and "1.0 MiB" in line for line in lines)
    assert any(line.startswith("no run") and "1 directory" in line for line in lines)
    assert any(line.startswith("checkpoints") and line.endswith(f"kept by {kept_by('checkpoints')}") for line in lines)
    assert any(line.startswith("Corpus") and line.endswith(f"kept by {kept_by('Corpus')}") for line in lines)
    assert "total: 3 directories, 1.0 MiB" in lines


def test_registered_models_elsewhere_and_unknown_kinds_are_named(used_home: Settings) -> None:
    listing = list_waste(used_home, ())
    listing = replace(listing, references=replace(listing.references, elsewhere=("other/1",)), unknown=("artifacts/a",))
    nothing, elsewhere, unknown = lines_of([], listing)
    assert nothing.startswith("nothing to delete")
    assert "other/1" in elsewhere
    assert "artifacts/a" in unknown


def test_a_dry_run_lists_and_deletes_nothing_and_asks_nothing(used_home: Settings) -> None:
    artifact = made(used_home, open_journal(used_home.runs), "curation", 12.0)
    words = ["gc", "--home", str(used_home.home)]
    result = CliRunner().invoke(app, [*words, "--dry-run", "--yes"])
    assert (result.exit_code, artifact.uri in result.output) == (0, True)
    assert list(used_home.store.artifacts()) == [artifact]
    assert CliRunner().invoke(app, words, input="n\n").exit_code == 1
    assert list(used_home.store.artifacts()) == [artifact]
    assert CliRunner().invoke(app, [*words, "--yes"]).exit_code == 0
    assert list(used_home.store.artifacts()) == []

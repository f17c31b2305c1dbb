"""What killed runs leave: found when their processes are dead, and deleted."""

from pathlib import Path

from components.ports.unpublished import output_directory
from workflows.steps.journal import open_journal
from workflows.steps.lock import running
from workflows.steps.remains import delete_remains, remains
from workflows.steps.run import ray_state_of


def test_outputs_and_rays_of_living_runs_stay_and_those_of_dead_runs_are_deleted(tmp_path: Path) -> None:
    alive, dead = open_journal(tmp_path / "runs"), open_journal(tmp_path / "runs")
    for run in (alive, dead):
        ray_state_of(tmp_path, run).mkdir(parents=True)
    (tmp_path / "writing" / "curation-1").mkdir(parents=True)
    with running(alive, tmp_path), output_directory(tmp_path, "curation") as output:
        assert remains(tmp_path) == [ray_state_of(tmp_path, dead), tmp_path / "writing" / "curation-1"]
        delete_remains(tmp_path)
        assert output.exists()
        assert ray_state_of(tmp_path, alive).exists()
        assert remains(tmp_path) == []
    assert remains(tmp_path) == [ray_state_of(tmp_path, alive)]


def test_the_state_of_a_rays_sockets_has_a_short_name_of_its_run(tmp_path: Path) -> None:
    run = open_journal(tmp_path / "runs", "20261130-204500-ab12")
    assert ray_state_of(tmp_path, run) == tmp_path / "ray" / "204500-ab12"

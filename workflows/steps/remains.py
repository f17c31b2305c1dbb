"""What killed runs leave in a home besides checkpoints: unpublished outputs, and the state of their Ray."""

from pathlib import Path

from components.ports.unpublished import abandoned, delete_abandoned
from workflows.steps.journal import Journal
from workflows.steps.lock import is_running
from workflows.steps.run import ray_state_of


def remains(home: Path) -> list[Path]:
    """The directories that no process uses any more, sorted."""
    states = set(home.glob("ray/*"))  # listed first: a run is marked as running before it starts Ray
    running = {ray_state_of(home, run) for run in map(Journal, home.glob("runs/*")) if is_running(run)}
    return sorted([*abandoned(home), *(states - running)])


def delete_remains(home: Path) -> None:
    """Delete what `remains` lists."""
    from infra.ray.local import delete_state

    for path in remains(home):
        if path.parent.name == "ray":
            delete_state(path)
        else:
            delete_abandoned(path)

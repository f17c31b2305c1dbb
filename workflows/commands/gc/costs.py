"""What it costs to delete the directories that nothing needs: which runs would do what again. Totals, by run and by kind."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from components.artifacts import Artifact
from components.errors import LongrunError
from components.files import JSON
from components.ports.artifact_paths import scratch_uri
from infra.settings import Settings
from infra.urls import HERE
from workflows.commands.columns import in_columns
from workflows.commands.gc.waste import KEPT_BY, Waste, WasteListing
from workflows.steps.journal import Journal
from workflows.steps.lock import is_running

TRAININGS = ("pretraining", "sft", "dpo", "sweep_point")
"""Steps that train a model."""

NO_RUN = "no run"


@dataclass(frozen=True, kw_only=True, slots=True)
class Cost:
    """What it costs to delete one directory."""

    waste: Waste
    run: str
    """Id of the newest run that used it; empty if no journal refers to it."""
    text: str
    """What would be done again, as a sentence."""

    def as_json(self) -> dict[str, JSON]:
        """As JSON values."""
        return {
            "uri": self.waste.uri,
            "bytes": self.waste.bytes,
            "kind": self.waste.kind,
            "kept_by": kept_by(self.waste.kind),
            "run": self.run,
            "cost": self.text,
        }


def costs_of(settings: Settings, listing: WasteListing) -> list[Cost]:
    """The cost of each directory in a listing."""
    users = _users(listing.references.runs)
    return [_cost(settings, waste, users.get(waste.uri, "")) for waste in listing.waste]


def kept_by(kind: str) -> str:
    """What a kind of directory is kept for."""
    artifact = next((each for each in Artifact.__subclasses__() if each.__name__ == kind), None)
    return KEPT_BY[kind] if artifact is None else artifact.KEPT_BY


def _users(runs: Iterable[Journal]) -> dict[str, str]:
    """URI of an artifact or directory of checkpoints -> id of the newest run that used it; `runs` are sorted, newest first."""
    users: dict[str, str] = {}
    for run in runs:
        uris = [artifact.uri for artifact in run.artifacts()]
        uris += [
            scratch_uri(event["step"], event["cache_key"])
            for event in run.events()
            if event["event"] == "started" and "cache_key" in event
        ]
        for uri in uris:
            users.setdefault(uri, run.name)
    return users


def _cost(settings: Settings, waste: Waste, run: str) -> Cost:
    subject = f"run {run}" if run else "a run that needs it"
    step = Path(waste.uri).parent.name
    match waste.kind:
        case "checkpoints":
            text = f"{subject} would start {step} over{_steps_done(settings.home / waste.uri)}"
        case "index":
            text = f"a changed {step.removesuffix('-index')} would read and hash all sources again"
        case "copies from a cluster" | "incomplete copy":
            text = "it would be downloaded again when it is needed"
        case "unpublished output" | "state of Ray":
            text = "nothing: its process has ended"
        case _:
            text = _cost_of_artifact(settings, waste, subject)
    return Cost(waste=waste, run=run, text=text)


def _cost_of_artifact(settings: Settings, waste: Waste, subject: str) -> str:
    if waste.manifest is None or (settings.artifact_root != HERE and _is_in_bucket(settings, waste.uri)):
        return "it would be downloaded again when it is needed"
    step = waste.manifest.step
    if step == "training_state":
        return f"{subject} could not be continued from this step with --from; making it again trains pretraining again"
    seconds = waste.manifest.making.measurements.get("seconds")
    took = f", {seconds:.0f} s" if seconds is not None else ""
    return f"{subject} would {'train' if step in TRAININGS else 'make'} {step} again{took}"


def _is_in_bucket(settings: Settings, uri: str) -> bool:
    try:
        settings.store.manifest(uri)
    except LongrunError:
        return False
    return True


def _steps_done(scratch: Path) -> str:
    """Where a stopped training would have continued, from the names of its checkpoints."""
    steps = [int(path.name.removeprefix("step-")) for path in scratch.rglob("step-*") if path.name[5:].isdigit()]
    return f" instead of continuing from step {max(steps)}" if steps else ""


def lines_of(costs: Sequence[Cost], listing: WasteListing) -> list[str]:
    """Each directory with its cost, then the totals by run and by kind."""
    if not costs:
        needed = "nothing to delete: registered models, running runs or kept runs need every artifact in this home"
        return [needed, *_notes(listing)]
    rows = [(cost.waste.uri, _size(cost.waste.bytes), cost.text) for cost in costs]
    recipes = {run.name: _recipe(run) for run in listing.references.runs}
    by_run = _totals(costs, lambda cost: f"{cost.run} {recipes.get(cost.run, '')}".strip() or NO_RUN)
    by_kind = _totals(costs, lambda cost: cost.waste.kind)
    kinds = [(name, count, size, f"kept by {kept_by(name)}") for name, count, size in by_kind]
    total = f"total: {_directories(len(costs))}, {_size(sum(cost.waste.bytes for cost in costs))}"
    return [
        *in_columns(rows, (60, 12)),
        "",
        "by the run that used them last:",
        *in_columns(by_run, (34, 18)),
        "",
        "by kind:",
        *in_columns(kinds, (24, 18, 12)),
        "",
        total,
        *_notes(listing),
    ]


def _totals(costs: Sequence[Cost], group_of: Callable[[Cost], str]) -> list[tuple[str, str, str]]:
    """Name, number of directories and size of each group, the largest first."""
    groups: dict[str, list[int]] = {}
    for cost in costs:
        groups.setdefault(group_of(cost), []).append(cost.waste.bytes)
    largest = sorted(groups.items(), key=lambda group: (-sum(group[1]), group[0]))
    return [(name, _directories(len(sizes)), _size(sum(sizes))) for name, sizes in largest]


def _notes(listing: WasteListing) -> list[str]:
    """What is kept although `gc` cannot tell whether it is needed, and registered versions that keep nothing here."""
    elsewhere, unknown = listing.references.elsewhere, listing.unknown
    notes = [f"not in this home: registered {', '.join(elsewhere)}; their artifacts are elsewhere"] if elsewhere else []
    notes += [f"kept: {', '.join(unknown)}; this version of longrun does not know their kind"] if unknown else []
    running = [run.name for run in listing.references.kept_runs if is_running(run)]
    return [*notes, f"kept: what running runs need ({', '.join(running)})"] if running else notes


def _recipe(run: Journal) -> str:
    return next((f"({event['recipe']})" for event in run.events() if "recipe" in event), "")


def _size(size: int) -> str:
    for unit, name in ((2**30, "GiB"), (2**20, "MiB")):
        if size >= unit:
            return f"{size / unit:.1f} {name}"
    return f"{size / 2**10:.1f} KiB"


def _directories(count: int) -> str:
    return f"{count} {'directory' if count == 1 else 'directories'}"

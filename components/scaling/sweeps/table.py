"""The training runs of a sweep as the table that fits read."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

from components.artifacts import TRAIN, Mixture, Point, PointOutcome, TokenIndex
from components.flops import non_embedding_flops_per_token
from components.scaling.laws.text_law import FIGURE

RUNS = "runs.csv"
"""The table, in the directory of a sweep's training runs."""

LADDER_COLUMNS = {"n": "n", "d": "d", "c": "c", "loss": FIGURE}
"""What a fit of the allocation calls the columns, and what the table calls them: M, D and C."""

GRID_COLUMNS = {"c": "c", "batch": "batch", "learning_rate": "learning_rate", "loss": FIGURE}
"""The same for the laws of batch (in tokens) and learning rate."""

Row = Mapping[str, float | str]
"""A training run, by `_HEADER`; an empty text where a failed one has no figure."""

_HEADER = (
    *("budget", "n", "d", "c", FIGURE, "batch", "learning_rate", "n_layer", "d_model", "vocab_size", "bytes_per_token"),
    *("sequence_length", "steps", "seed", "loss", "failure"),
)


def row_of(point: Point, outcome: PointOutcome, bytes_per_token: float) -> Row:
    """A row: what was trained and what came out. A training run that failed has no bits per byte, so that fits exclude it."""
    plan, trained = point.plan, outcome.trained
    return {
        "budget": point.budget,
        "n": non_embedding_flops_per_token(plan.shape, plan.sequence_length),
        "d": plan.tokens,
        "c": plan.compute,
        FIGURE: "" if trained is None or trained.bits_per_byte is None else trained.bits_per_byte,
        "batch": plan.batch_size * plan.sequence_length,
        "learning_rate": plan.learning_rate,
        "n_layer": plan.shape.n_layer,
        "d_model": plan.shape.d_model,
        "vocab_size": plan.shape.vocab_size,
        "bytes_per_token": bytes_per_token,
        "sequence_length": plan.sequence_length,
        "steps": plan.steps,
        "seed": point.seed,
        "loss": "" if trained is None else trained.loss,
        "failure": outcome.failure,
    }


def tabulate_points(
    trained: Mapping[str, Point], *, points: Mapping[str, Path], token_shards: Path, output: Path
) -> dict[str, float]:
    """Write the table of the training runs whose outcomes lie in the directories `points`, by the same names; see `tabulate`.

    Raises `MissingArtifact` or `DamagedArtifact`.
    """
    length = bytes_per_token(TokenIndex.read(token_shards), Mixture.read(token_shards))
    return tabulate([row_of(point, PointOutcome.read(points[name]), length) for name, point in trained.items()], output)


def bytes_per_token(index: TokenIndex, mixture: Mixture) -> float:
    """UTF-8 bytes of training text per token, the mean over domains weighted by the mixture's shares, which are in tokens."""
    train = index.splits[TRAIN]
    return sum(share * train[domain].bytes / train[domain].tokens for domain, share in mixture.shares.items())


def tabulate(rows: Sequence[Row], output: Path) -> dict[str, float]:
    """Write `runs.csv`; the number of training runs and of failed ones, the least bits per byte, and the FLOPs of all."""
    write_table(rows, output / RUNS)
    measured = [float(row[FIGURE]) for row in rows if row[FIGURE] != ""]
    return {
        "trainings": len(rows),
        "broken": len(rows) - len(measured),
        **({f"least_{FIGURE}": min(measured)} if measured else {}),
        "compute": sum(float(row["c"]) for row in rows),
    }


def write_table(rows: Sequence[Row], path: Path) -> None:
    """Write the rows as CSV, sorted, so that the order in which training runs finish does not matter."""
    names = ("vocab_size", "budget", "n", "batch", "learning_rate", "seed")
    ordered = sorted(rows, key=lambda row: tuple(float(row[name]) for name in names))
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, _HEADER, lineterminator="\n")
        writer.writeheader()
        writer.writerows(ordered)


def write_runs(runs: Sequence[tuple[float, ...]], path: Path) -> None:
    """Write (S, D, loss) of each run as CSV with the columns n, d and loss, sorted."""
    lines = [",".join(repr(float(value)) for value in run) for run in sorted(runs, key=tuple)]
    path.write_text("\n".join(["n,d,loss", *lines]) + "\n", encoding="utf-8")


def read_table(path: Path) -> list[dict[str, str]]:
    """The rows of such a table, as text."""
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))

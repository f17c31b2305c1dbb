"""The multi-step schedule beside the cosine one, as in DeepSeek LLM (arXiv 2401.02954, section 2.3, figure 1a).

`python -m tests.benchmarks.schedules [RECIPE [HOME]]`: text, tokens and plan are the recipe's; a home that is named keeps them.
The paper's claim is about the end: on the way the cosine, whose rate falls earlier, is ahead.
"""

import shutil
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq

from components.ports import InProcessLauncher, SilentMetrics
from components.pretraining.config import PretrainingConfig
from components.pretraining.pretrain import PretrainingInputs, pretrain
from components.training.config import ScheduleConfig
from infra.settings import settings
from tests.benchmarks.rows import Row, write
from workflows.recipe import load_recipe
from workflows.running import run_recipe
from workflows.steps.run import RunOptions

VALIDATION_BYTES = 200_000
"""UTF-8 bytes of held-out documents of each domain: several times the recipe's, so that the end is told from its noise."""

MEASUREMENTS = 5
"""Of bits per byte, the last one after the last step."""

SAME = "<= 1.01"
"""The paper calls the two ends "essentially consistent"."""


def main() -> None:
    """Run the benchmark and write its rows."""
    name = sys.argv[1] if len(sys.argv) > 1 else "smoke"
    kept = Path(sys.argv[2]).absolute() if len(sys.argv) > 2 else None
    home = kept or Path(tempfile.mkdtemp(prefix="schedules-"))
    try:
        recipe = load_recipe(name)
        events = run_recipe(recipe, settings(str(home)), RunOptions(until="scaling")).events()
        directories = {event["step"]: home / event["uri"] for event in events if "uri" in event}
        histories = {
            kind: trained(recipe.pretraining, kind, directories, home / "schedules") for kind in ("multi-step", "cosine")
        }
        write("schedules", rows(histories["multi-step"], histories["cosine"]), Path(".longrun"))
    finally:
        if not kept:
            shutil.rmtree(home, ignore_errors=True)


def trained(config: PretrainingConfig, kind: str, directories: dict[str, Path], work: Path) -> dict[str, list[float | None]]:
    """The history of a training under one schedule, by column."""
    output = work / kind
    shutil.rmtree(output, ignore_errors=True)
    output.mkdir(parents=True)
    steps = pq.read_table(directories["scaling"] / "metrics" / "plan.parquet").to_pydict()
    tokens, batch = (dict(zip(steps["name"], steps["chosen"], strict=True))[name] for name in ("tokens", "batch_tokens"))
    training = replace(
        config.training,
        schedule=ScheduleConfig(kind=kind),
        validation_steps=round(tokens / batch) // MEASUREMENTS,
        checkpoints=replace(config.training.checkpoints, permanent=()),
    )
    pretrain(
        replace(config, training=training, max_validation_bytes=VALIDATION_BYTES),
        PretrainingInputs(
            plan=directories["scaling"], token_shards=directories["token_shards"], tokenizer=directories["tokenizer"]
        ),
        output=output,
        scratch=output / "scratch",
        launcher=InProcessLauncher(),
        metrics=SilentMetrics(),
    )
    history: dict[str, list[float | None]] = pq.read_table(output / "metrics" / "training.parquet").to_pydict()
    shutil.rmtree(output)
    return history


def rows(ours: dict[str, list[float | None]], theirs: dict[str, list[float | None]]) -> list[Row]:
    """Bits per byte on the way and at the end, and the mean training loss of the last twentieth."""
    pairs = zip(ours["step"], ours["bits_per_byte"], theirs["bits_per_byte"], strict=True)
    measured = [(step, first, second) for step, first, second in pairs if first is not None and second is not None]
    last = measured[-1][0]
    return [
        *(
            Row(
                name=f"bits per byte after step {step}",
                ours=first,
                reference=second,
                target=SAME if step == last else "none",
                unit="bits/byte",
            )
            for step, first, second in measured
        ),
        Row(name="loss of the last twentieth", ours=tail(ours), reference=tail(theirs), target=SAME, unit="nats/token"),
    ]


def tail(history: dict[str, list[float | None]]) -> float:
    """Mean training loss of the last twentieth of the steps: in it both rates are near a tenth of the maximum."""
    losses = [loss for loss in history["loss"] if loss is not None]
    last = losses[-max(1, len(losses) // 20) :]
    return sum(last) / len(last)


if __name__ == "__main__":
    main()

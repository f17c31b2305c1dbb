"""What SFT and DPO share: resuming, and refusing what cannot be tuned."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from components.alignment.config import DPOConfig, PreferencePairsConfig, SFTConfig
from components.alignment.dpo import optimise_preferences
from components.alignment.preference_pairs import make_preference_pairs
from components.alignment.sft import fine_tune
from components.artifacts import Omissions
from components.errors import CheckpointError, ConfigError, ResourceError, TrainingError
from components.model.huggingface import WEIGHTS
from components.ports import InProcessLauncher, Launcher, RecordedMetrics, RemoteScratch, SilentMetrics
from components.training.incidents import read_incidents
from tests.training_configs import with_training

SFT = with_training(
    SFTConfig(epochs=1, learning_rate=3e-3, batch_size=32), precision="fp32", micro_batch_tokens=2048, checkpoint_steps=2
)
DPO = with_training(
    DPOConfig(epochs=1, learning_rate=3e-3, batch_size=16), precision="fp32", micro_batch_tokens=4096, checkpoint_steps=2
)

Tune = Callable[..., dict[str, Any]]


class PowerCutError(Exception):
    """What ends a training in the middle."""


@dataclass
class CutMetrics(SilentMetrics):
    """Loses power when a step is reported."""

    step: int

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Go on until the step."""
        if step == self.step:
            raise PowerCutError


@pytest.fixture
def tune(conversations: Path, pairs: Path, base: Path, tmp_path: Path) -> Tune:
    """Tunes into `tmp_path/NAME/output`; checkpoints stay in `tmp_path/NAME/scratch`."""

    def run(config: SFTConfig | DPOConfig, name: str = "one", metrics: Any = None, **changed: Any) -> dict[str, Any]:
        directory = tmp_path / name
        (directory / "output").mkdir(parents=True, exist_ok=True)
        launcher: Launcher = changed.pop("launcher", InProcessLauncher())
        common: dict[str, Any] = {
            "checkpoint": base,
            "output": directory / "output",
            "scratch": directory / "scratch",
            "launcher": launcher,
            "metrics": metrics or SilentMetrics(),
        }
        if isinstance(config, SFTConfig):
            return fine_tune(config, conversations=conversations, **common | changed)
        return optimise_preferences(config, **{"pairs": pairs} | common | changed)

    return run


@pytest.mark.parametrize("config", [SFT, DPO], ids=["sft", "dpo"])
def test_a_tuning_that_was_cut_off_goes_on_and_ends_bitwise_as_if_it_had_not_been(
    config: SFTConfig | DPOConfig, tune: Tune, tmp_path: Path
) -> None:
    whole = tune(config, "whole")
    with pytest.raises(PowerCutError):
        tune(config, "cut", CutMetrics(3))
    metrics = RecordedMetrics()
    assert tune(config, "cut", metrics) == whole
    assert metrics.values[2].items() >= {"resumed_from": 2.0, "workers": 1.0}.items()
    names = [path.relative_to(tmp_path / "whole/output") for path in (tmp_path / "whole/output").rglob("*") if path.is_file()]
    assert len(names) >= 8
    assert all((tmp_path / "cut/output" / n).read_bytes() == (tmp_path / "whole/output" / n).read_bytes() for n in names)


@pytest.mark.parametrize("config", [SFT, DPO], ids=["sft", "dpo"])
def test_computing_activations_again_changes_no_bit(config: SFTConfig | DPOConfig, tune: Tune, tmp_path: Path) -> None:
    kept, again = tune(config, "kept"), tune(with_training(config, activation_checkpointing="full"), "again")
    assert kept == again
    weights = [(tmp_path / name / "output" / WEIGHTS).read_bytes() for name in ("kept", "again")]
    assert weights[0] == weights[1]


@pytest.mark.parametrize("config", [SFT, DPO], ids=["sft", "dpo"])
def test_a_tuning_goes_on_on_another_machine_whose_checkpoints_are_rarer(
    config: SFTConfig | DPOConfig, tune: Tune, tmp_path: Path
) -> None:
    uploads, metrics = RemoteScratch(url=f"file://{tmp_path}/store"), RecordedMetrics()
    figures = tune(config, "here", uploads=uploads)
    rarer = with_training(config, checkpoint_steps=3, checkpoint_keep=1)
    assert tune(rarer, "there", metrics, uploads=uploads) == figures
    assert metrics.values[figures["steps"]]["resumed_from"] == figures["steps"]


def test_checkpoints_that_are_not_to_be_copied_are_not(tune: Tune, tmp_path: Path) -> None:
    tune(with_training(SFT, checkpoint_upload=False), uploads=RemoteScratch(url=f"file://{tmp_path}/store"))
    assert not (tmp_path / "store").exists()


def test_checkpoints_of_another_config_are_refused(tune: Tune) -> None:
    with pytest.raises(PowerCutError):
        tune(SFT, "one", CutMetrics(3))
    with pytest.raises(CheckpointError):
        tune(replace(SFT, seed=1), "one")


@pytest.mark.parametrize("config", [SFT, DPO], ids=["sft", "dpo"])
def test_a_length_beyond_the_context_is_refused(config: SFTConfig | DPOConfig, tune: Tune) -> None:
    with pytest.raises(ConfigError, match=r"max_length is 193; allowed: at most the model's context of 192"):
        tune(replace(config, max_length=193))


def test_conversations_that_are_too_long_are_left_out_and_counted(tune: Tune, tmp_path: Path) -> None:
    figures, longer = (tune(replace(SFT, max_length=length), str(length)) for length in (100, 192))
    assert figures["left_out"] > longer["left_out"]
    assert figures["warnings"][0].endswith("change sft.max_length")
    (row,) = Omissions.read(tmp_path / "100" / "output").rows
    assert (row.source, row.unit, row.reason, row.total) == ("python-environment:", "conversations", "too-long", 200)
    assert row.count == figures["left_out"] > 160 - figures["examples"]
    assert all(case.detail.endswith("at most 100 are allowed") for case in row.cases)


def test_a_pair_that_is_too_long_is_named_by_its_line(
    conversations: Path, base: Path, jsonl: Callable[..., str], tune: Tune, tmp_path: Path
) -> None:
    rows = [{"prompt": f"{n}?", "chosen": "yes", "rejected": "no " * (200 if n == 5 else 1)} for n in range(40)]
    pairs = tmp_path / "pairs"
    pairs.mkdir()
    config = PreferencePairsConfig(kinds=(), sources=(jsonl(rows),), validation_share=0.2)
    make_preference_pairs(config, conversations=conversations, checkpoint=base, output=pairs, metrics=SilentMetrics())
    assert tune(DPO, pairs=pairs)["left_out"] == 1
    (row,) = Omissions.read(tmp_path / "one" / "output").rows
    assert (row.source, row.unit, row.count, row.total) == ("user.jsonl", "pairs", 1, 40)
    assert row.cases[0].uri == "user.jsonl#6"
    assert row.setting == "pretraining.shape.context"


def test_lengths_that_leave_nothing_are_refused(tune: Tune) -> None:
    with pytest.raises(TrainingError, match=r"none of the 160 items in train fits max_length, 3 tokens"):
        tune(replace(SFT, max_length=3))


def test_more_memory_than_there_is_is_refused_before_any_work(tune: Tune, tmp_path: Path) -> None:
    with pytest.raises(ResourceError, match="training needs about"):
        tune(with_training(SFT, micro_batch_tokens=10**12))
    assert not (tmp_path / "one" / "scratch").exists()


@pytest.mark.parametrize("config", [SFT, DPO], ids=["sft", "dpo"])
def test_a_tuning_asks_for_its_workers_and_for_the_fewest_with_which_it_goes_on(
    config: SFTConfig | DPOConfig, tune: Tune
) -> None:
    class Asked(InProcessLauncher):
        """Keeps what it was asked for, and trains nothing."""

        def launch(self, work: Any, spec: Any, **options: Any) -> list[Any]:
            """Lose power."""
            workers.update(workers=options["workers"], min_workers=options["min_workers"])
            raise PowerCutError

    workers: dict[str, int] = {}
    with pytest.raises(PowerCutError):
        tune(with_training(config, workers=4, min_workers=2), launcher=Asked())
    assert workers == {"workers": 4, "min_workers": 2}


@pytest.mark.slow
@pytest.mark.parametrize("config", [SFT, DPO], ids=["sft", "dpo"])
def test_a_compiled_tuning_learns_like_one_that_is_not(config: SFTConfig | DPOConfig, tune: Tune) -> None:
    plain, compiled = tune(config, "plain"), tune(with_training(config, compile=True), "compiled")
    assert compiled == pytest.approx(plain, rel=1e-3, abs=1e-5)


def test_a_batch_smaller_than_the_number_of_workers_is_refused(tune: Tune) -> None:
    class TwoRanks(InProcessLauncher):
        """Says that there are two workers."""

        def launch(self, work: Any, spec: Any, **options: Any) -> list[Any]:
            """Run the first of two."""
            return [work(spec, _Rank())]

    with pytest.raises(ConfigError, match="1 examples for 2 workers; increase batch_size"):
        tune(with_training(replace(SFT, batch_size=1), workers=2), launcher=TwoRanks())


class _Rank:
    """The first of two workers."""

    rank = 0
    world_size = 2

    def report(self, step: int, total_steps: int, values: Mapping[str, float]) -> None:
        """Tell nobody."""

    def checkpoint_wanted(self) -> bool:
        """Never."""
        return False


@pytest.mark.parametrize("config", [SFT, DPO], ids=["sft", "dpo"])
def test_a_step_that_is_not_finite_is_recorded_with_the_lines_that_it_trained_on(
    config: SFTConfig | DPOConfig, tune: Tune, tmp_path: Path
) -> None:
    with pytest.raises(TrainingError, match=r"step \d+: loss .*, gradient not finite"):
        tune(replace(config, learning_rate=1e30))
    (incident,) = read_incidents(tmp_path / "one" / "scratch" / "incidents.jsonl")
    assert 0 < len(incident.sequences) <= config.batch_size
    assert all(sequence.domain and len(sequence.documents) == 1 and sequence.documents[0] for sequence in incident.sequences)
    assert len({sequence.start for sequence in incident.sequences}) == len(incident.sequences)

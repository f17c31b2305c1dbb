"""Rates are fitted to measured steps, and predict others."""

import dataclasses
import random
from pathlib import Path

import pytest

from components.artifacts import ModelShape
from components.artifacts.step_times import StepSize, StepTime
from components.errors import ConfigError, DamagedArtifact, FitRefused
from components.scaling.planning.rates import COSTS, Rates, counts, non_negative

TRUTH = {
    "body": 1 / 80e9,
    "attention": 1 / 30e9,
    "scores": 0.0,
    "head": 1 / 100e9,
    "logits": 2e-9,
    "activations": 1e-9,
    "parameters": 3e-9,
    "layers": 4e-4,
    "steps": 1e-3,
}


def size(n_layer: int, width: int, vocabulary: int, length: int, batch: int, heads: int = 4) -> StepSize:
    shape = ModelShape(
        n_layer=n_layer, d_model=width, n_head=heads, n_kv_head=heads, d_ffn=3 * width, vocab_size=vocabulary, context=length
    )
    return StepSize(shape=shape, sequence_length=length, batch_size=batch, micro_batch_size=min(batch, max(1, 1024 // length)))


def measured(of: StepSize, noise: float = 0.0, seed: int = 0) -> StepTime:
    seconds = sum(TRUTH[name] * count for name, count in counts(of).items())
    return StepTime(size=of, medians=(seconds * (1 + noise * random.Random(seed).uniform(-1, 1)),))


SIZES = [
    size(2, 96, 512, 128, 8),
    size(4, 192, 4096, 256, 4),
    size(2, 64, 1024, 256, 16, 2),
    size(8, 64, 512, 256, 4),
    size(1, 256, 2048, 256, 8),
    size(4, 256, 1024, 512, 2),
    size(2, 128, 4096, 128, 32, 8),
    size(6, 128, 512, 128, 16),
    size(1, 128, 8192, 256, 4, 2),
    size(2, 384, 512, 256, 4, 6),
    size(4, 96, 512, 512, 4, 3),
    size(1, 64, 4096, 128, 8, 2),
]
HELD_OUT = [size(3, 128, 1024, 256, 8), size(6, 256, 8192, 512, 2)]


def fit(noise: float = 0.0) -> Rates:
    return Rates.fit(
        [measured(each, noise, seed) for seed, each in enumerate(SIZES)],
        held_out=[measured(each) for each in HELD_OUT],
        machine={"processor": "one", "cores": "2", "gpus": "", "torch": "2", "precision": "fp32"},
        load=0.1,
        micro_batch_tokens=1024,
    )


def test_a_machine_without_noise_is_predicted_also_where_it_was_not_measured() -> None:
    assert fit().error < 0.02


def test_a_machine_that_wanders_by_a_twentieth_is_predicted_to_a_tenth() -> None:
    assert fit(noise=0.05).error < 0.1


def test_no_cost_is_negative_whatever_was_measured() -> None:
    assert all(cost >= 0 for seed in range(5) for cost in fit(noise=0.3 + seed / 20).costs.values())


def test_a_larger_batch_has_more_tokens_per_second_and_a_larger_model_or_vocabulary_fewer() -> None:
    rates, small = fit(), SIZES[0].shape
    speed = rates.tokens_per_second(small, sequence_length=128, batch_size=8)
    assert rates.tokens_per_second(small, sequence_length=128, batch_size=64) > speed
    assert rates.tokens_per_second(dataclasses.replace(small, vocab_size=4096), sequence_length=128, batch_size=8) < speed
    assert rates.tokens_per_second(dataclasses.replace(small, n_layer=4), sequence_length=128, batch_size=8) < speed
    assert speed == pytest.approx(8 * 128 / rates.step_seconds(small, sequence_length=128, batch_size=8))


def test_the_spread_is_the_median_of_steps_that_were_measured_twice() -> None:
    rates = fit()
    disturbed = [dataclasses.replace(time, medians=(time.seconds, 1.5 * time.seconds)) for time in rates.measured]
    assert rates.spread == 0
    assert dataclasses.replace(rates, measured=tuple(disturbed)).spread == pytest.approx(0.5)


def test_rates_are_read_as_they_were_written_and_those_of_other_costs_are_damaged(tmp_path: Path) -> None:
    rates = fit()
    rates.write(tmp_path)
    assert Rates.read(tmp_path) == rates
    (tmp_path / Rates.NAME).write_text((tmp_path / Rates.NAME).read_text().replace('"logits"', '"letters"'))
    with pytest.raises(DamagedArtifact, match=r"allowed: body, attention, .*longrun plan --minutes M --calibrate"):
        Rates.read(tmp_path)


def test_fewer_steps_than_costs_are_refused() -> None:
    with pytest.raises(FitRefused, match=f"8 measured steps are too few for {len(COSTS)} costs"):
        Rates.fit([measured(each) for each in SIZES[:8]], held_out=[], machine={}, load=0.0, micro_batch_tokens=1024)


@pytest.mark.parametrize("costs", [dict.fromkeys(COSTS, 0.0), {**TRUTH, "body": -1.0}])
def test_rates_that_make_no_sense_are_refused(costs: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=r"Rates\.costs is .*; allowed: numbers of at least 0"):
        dataclasses.replace(fit(), costs=costs)


def test_the_least_squares_are_those_of_the_bounded_problem() -> None:
    assert non_negative([[1.0, 0.0], [0.0, 1.0]], [2.0, -3.0]) == pytest.approx([2.0, 0.0])
    assert non_negative([[1.0, 1.0], [1.0, 0.0], [0.0, 2.0]], [3.0, 1.0, 4.0]) == pytest.approx([1.0, 2.0])
    # The unbounded solution is (1.5, -0.5); with the second at its bound the first is the mean
    assert non_negative([[1.0, 1.0], [1.0, 1.0], [1.0, 0.0]], [1.0, 1.0, 1.5]) == pytest.approx([3.5 / 3, 0.0])

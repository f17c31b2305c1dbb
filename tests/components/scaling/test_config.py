"""What planning and fitting are configured by: values that make no sense are refused by name."""

import pytest

from components.errors import ConfigError
from components.scaling.config import Accelerators, FitConfig, ScalingConfig


@pytest.mark.parametrize("compute", [0.0, -1.0, float("nan"), float("inf"), 1.0, 1e60])
def test_budgets_that_make_no_sense_are_refused_with_what_is_allowed(compute: float) -> None:
    with pytest.raises(ConfigError, match=r"ScalingConfig\.compute is .*1e\+10 to 1e\+28 FLOPs"):
        ScalingConfig(compute=compute)


def test_an_unknown_law_or_one_without_coefficients_is_refused() -> None:
    for law in ("gpt", "deepseek-early"):
        with pytest.raises(ConfigError, match=r"law is .*allowed: deepseek"):
            ScalingConfig(law=law)


@pytest.mark.parametrize(
    ("field", "value"),
    [("gpus", 0), ("gpu", "tpu"), ("mfu", 0.0), ("mfu", 1.1), ("price", -1.0), ("price", float("nan")), ("usable", 2.0)],
)
def test_accelerators_that_makes_no_sense_are_refused_by_name(field: str, value: object) -> None:
    with pytest.raises(ConfigError, match=rf"Accelerators\.{field} is"):
        Accelerators(**{"gpus": 8, field: value})  # type: ignore[arg-type]


def test_training_may_fill_its_share_of_the_memory() -> None:
    assert Accelerators(gpus=1, gpu="h200", usable=0.5).memory_bytes == 0.5 * 141e9


@pytest.mark.parametrize(
    ("field", "value"), [("scale", "layers"), ("leave_out", -1), ("rounds", 5), ("rounds", 100_001), ("seed", -1)]
)
def test_a_bad_setting_of_a_fit_is_refused_by_name(field: str, value: object) -> None:
    with pytest.raises(ConfigError, match=rf"FitConfig\.{field} is"):
        FitConfig(**{field: value})  # type: ignore[arg-type]


def test_a_law_file_is_a_law_by_its_suffix_and_need_not_exist_yet() -> None:
    assert ScalingConfig(law="mine.json").law == "mine.json"

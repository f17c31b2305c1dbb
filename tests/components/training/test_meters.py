"""Speed figures."""

import pytest
import torch

from components.training.meters import Meter


def test_utilisation_is_left_out_where_no_peak_is_known() -> None:
    meter = Meter.of(torch.device("cpu"), "bf16", 1e6, workers=1)
    assert meter.figures(100, 2.0) == {"tokens_per_second": 50.0}


def test_utilisation_is_the_share_of_the_peak_of_all_devices() -> None:
    assert Meter(flops_per_token=1e6, peak=2e8).figures(100, 1.0)["model_flops_utilisation"] == pytest.approx(0.5)

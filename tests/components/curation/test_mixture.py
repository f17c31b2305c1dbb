"""Shares follow weights, temperature levels them, limits fall back to the general one."""

import pytest

from components.curation.mixture import mixture_of
from tests.components.curation.conftest import config, source


def test_a_domain_has_the_weights_of_all_its_sources() -> None:
    sources = (source("a", "web", weight=3.0), source("b", "code", weight=4.0), source("c", "web", weight=1.0))
    assert mixture_of(config(*sources)).shares == {"code": 0.5, "web": 0.5}


def test_a_higher_temperature_raises_the_small_domain() -> None:
    sources = (source("a", "web", weight=9.0), source("b", "maths", weight=1.0))
    shares = mixture_of(config(*sources, mixture_temperature=2.0)).shares
    assert shares == pytest.approx({"maths": 0.25, "web": 0.75})


def test_a_domain_without_its_own_epoch_limit_has_the_general_one() -> None:
    sources = (source("a", "web"), source("b", "maths"))
    assert mixture_of(config(*sources, epoch_limits={"maths": 2.0})).epoch_limits == {"maths": 2.0, "web": 4.0}

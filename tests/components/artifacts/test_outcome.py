"""The figures of a training by the names that laws predict them under."""

from dataclasses import replace

from tests.components.artifacts.samples import OUTCOME


def test_a_figure_is_found_by_the_name_that_a_law_predicts_it_under() -> None:
    assert (OUTCOME.figure("loss"), OUTCOME.figure("bits_per_byte")) == (5.25, 2.31)


def test_a_figure_that_was_not_measured_is_none_and_no_figure() -> None:
    unmeasured = replace(OUTCOME, bits_per_byte=None)
    assert unmeasured.figure("bits_per_byte") is None
    assert unmeasured.figures == {"loss": 5.25}

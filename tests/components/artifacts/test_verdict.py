"""A verdict in words."""

from tests.components.artifacts.samples import VERDICT


def test_the_figure_is_named_as_sentences_do() -> None:
    assert VERDICT.figure_in_words == "bits per byte"

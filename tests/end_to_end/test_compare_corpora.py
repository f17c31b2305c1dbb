"""Two corpora compared by the laws that ladders on them give."""

from pathlib import Path

import pytest

from tests.end_to_end.commands import as_json, steps

pytestmark = [pytest.mark.ray, pytest.mark.slow]

CORPORA = ("python-environment:code", "python-environment:prose")


def test_each_corpus_gets_a_law_and_the_next_time_nothing_is_trained(tmp_path: Path) -> None:
    home = tmp_path / "home"
    words = ("compare-corpora", *CORPORA, "--compute", "4e11")
    comparison = as_json(*words, home=home)
    assert tuple(comparison["corpora"]) == CORPORA
    for figures in comparison["corpora"].values():
        assert figures["n_exponent"]["low"] <= figures["n_exponent"]["value"] <= figures["n_exponent"]["high"]
        assert figures["n_exponent"]["value"] + figures["d_exponent"]["value"] == pytest.approx(1)
        assert figures["loss"]["low"] <= figures["loss"]["value"] <= figures["loss"]["high"]
    assert as_json(*words, home=home) == comparison
    assert steps(home, "made") == []

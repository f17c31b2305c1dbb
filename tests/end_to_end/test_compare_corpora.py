"""Two corpora compared by the laws that ladders on them give."""

from pathlib import Path

import pytest

from tests.end_to_end.commands import as_json, steps

pytestmark = [pytest.mark.ray, pytest.mark.slow]

CORPORA = ("python-environment:code", "python-environment:prose")


def test_each_corpus_gets_a_law_and_the_next_time_nothing_is_trained(tmp_path: Path) -> None:
    home = tmp_path / "home"
    words = ("compare-corpora", *CORPORA, "--compute", "4e11")
    found = as_json(*words, home=home)
    assert tuple(found["corpora"]) == CORPORA
    for said in found["corpora"].values():
        assert said["n_exponent"]["low"] <= said["n_exponent"]["value"] <= said["n_exponent"]["high"]
        assert said["n_exponent"]["value"] + said["d_exponent"]["value"] == pytest.approx(1)
        assert said["loss"]["low"] <= said["loss"]["value"] <= said["loss"]["high"]
    assert as_json(*words, home=home) == found
    assert steps(home, "made") == []

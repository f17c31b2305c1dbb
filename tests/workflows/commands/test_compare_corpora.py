"""`longrun compare-corpora`: which sweeps it makes, how it shows what they found, and what it refuses."""

from pathlib import Path

import pytest

from components.errors import ConfigError
from components.scaling.laws.files import write_law
from components.scaling.laws.published import LAWS
from infra.settings import Settings, settings
from tests.workflows.conftest import published
from workflows.commands.compare_corpora import compare_corpora, comparison_lines, law_of, sweep_of
from workflows.steps.journal import open_journal


def test_a_corpus_becomes_a_sweep_on_nothing_else() -> None:
    sweep = sweep_of("texts/mine.jsonl.gz", 2e12)
    (source,) = sweep.curation.sources
    assert (source.uri, source.domain) == ("texts/mine.jsonl.gz", "text")
    assert sweep.ladder is not None
    assert sweep.ladder.rungs[-1].compute == 2e12
    assert sweep.name == "corpus-texts-mine-jsonl-gz"


def test_a_domain_of_the_python_environment_is_a_corpus() -> None:
    (source,) = sweep_of("python-environment:maths", 2e12).curation.sources
    assert (source.uri, source.domain) == ("python-environment:", "maths")
    assert source.distributions


def test_a_corpus_is_not_compared_with_itself(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="corpora A and B are both 'a'; allowed: two different corpora"):
        compare_corpora(("a", "a"), 1e12, settings(str(tmp_path)), quiet=True)


def test_the_law_of_a_sweep_is_read_where_artifacts_are_kept(any_home: Settings, tmp_path: Path) -> None:
    (tmp_path / "law").mkdir()
    write_law(LAWS["chinchilla"], tmp_path / "law" / "law.json")
    law, record = published(any_home, "scaling_law", tmp_path / "law"), open_journal(any_home.runs)
    record.write("cached", step="scaling_law", **law.pinned, figures={})
    assert law_of(record, any_home) == LAWS["chinchilla"]


def test_the_text_says_which_corpus_gives_more_to_the_model_and_whether_that_is_more_than_noise() -> None:
    def said(value: float) -> dict[str, object]:
        interval = {"value": value, "low": value - 0.01, "high": value + 0.01}
        return {"n_exponent": interval, "d_exponent": interval, "loss": interval, "figure": "bits_per_byte"}

    lines = comparison_lines({"compute": 1e12, "corpora": {"a": said(0.4), "b": said(0.6)}, "apart": ["n_exponent"]})
    assert (
        lines[-1]
        == "the law of b spends more of the budget on model size than that of a; the intervals of n_exponent do not overlap"
    )
    assert any("bits per byte" in line for line in lines)

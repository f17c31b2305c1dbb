"""`longrun compare-corpora`: train a ladder of small models on each of two corpora, and compare the fitted laws."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from components.curation.config import PYTHON_ENVIRONMENT, Source
from components.errors import ConfigError
from components.files import JSON
from components.scaling.laws.comparison import compare
from components.scaling.laws.law import Law
from components.scaling.sweeps.ladder import ladder_up_to
from infra.distributions import source_distributions
from infra.settings import Settings
from workflows.commands.display import Display, steady_console
from workflows.running import run_sweep
from workflows.steps.journal import Journal, listening
from workflows.steps.values import value_of
from workflows.sweeps.sweep import Sweep, load_sweep


def compare_corpora(corpora: tuple[str, str], compute: float, settings: Settings, *, quiet: bool) -> dict[str, JSON]:
    """Fit a law to each corpus with a ladder up to `compute` FLOPs, and compare them. Raises `ConfigError` for equal corpora."""
    if corpora[0] == corpora[1]:
        raise ConfigError(f"corpora A and B are both {corpora[0]!r}; allowed: two different corpora")
    sweeps = {corpus: sweep_of(corpus, compute) for corpus in corpora}
    laws = {}
    with Display(steady_console()) as display:
        for corpus, sweep in sweeps.items():
            with listening((lambda event: None) if quiet else display):
                laws[corpus] = law_of(run_sweep(sweep, settings), settings)
    return compare(laws, compute)


def law_of(journal: Journal, settings: Settings) -> Law:
    """The law that a sweep has fitted, read from the artifact store of the home."""
    return value_of(settings.store, journal.artifact("scaling_law"), Law)


def sweep_of(corpus: str, compute: float) -> Sweep:
    """The ladder of python-text in its smallest vocabulary, on a file, a directory, or `python-environment:DOMAIN`."""
    text = load_sweep("python-text")
    base = text.in_vocabulary(text.vocabularies[0])
    uri, domain = corpus, "text"
    if corpus.startswith(PYTHON_ENVIRONMENT):
        uri, domain = PYTHON_ENVIRONMENT, corpus.removeprefix(PYTHON_ENVIRONMENT) or "code"
    usual = next(source for source in base.curation.sources if source.uri == PYTHON_ENVIRONMENT)
    distributions = source_distributions() if uri == PYTHON_ENVIRONMENT else ()
    sample = usual.sample_bytes if uri == PYTHON_ENVIRONMENT else None
    source = Source(uri=uri, domain=domain, weight=1.0, distributions=distributions, sample_bytes=sample)
    if base.ladder is None:
        raise ConfigError("the sweep python-text has no ladder, which compare-corpora needs as its template")
    return replace(
        base,
        name="corpus-" + "".join(letter if letter.isalnum() else "-" for letter in corpus).strip("-"),
        description=f"a ladder on {corpus}",
        curation=replace(base.curation, sources=(source,)),
        ladder=ladder_up_to(compute, like=base.ladder),
    )


def comparison_lines(comparison: Mapping[str, Any]) -> list[str]:
    """The comparison as text."""
    lines = [f"optimum at {comparison['compute']:.3g} FLOPs, with 95 % intervals in brackets"]
    for corpus, figures in comparison["corpora"].items():
        lines += [
            corpus,
            *(f"  {name:<14}{_interval(figures[name])}" for name in ("n_exponent", "d_exponent")),
            f"  {figures['figure'].replace('_', ' '):<14}{_interval(figures['loss'])} on its held-out documents",
        ]
    first, second = sorted(comparison["corpora"].items(), key=lambda item: -item[1]["n_exponent"]["value"])
    overlap = (
        "the intervals of n_exponent do not overlap"
        if "n_exponent" in comparison["apart"]
        else "the intervals of n_exponent overlap"
    )
    return [*lines, f"the law of {first[0]} spends more of the budget on model size than that of {second[0]}; {overlap}"]


def _interval(value: Mapping[str, float]) -> str:
    return f"{value['value']:.3f} [{value['low']:.3f}, {value['high']:.3f}]"

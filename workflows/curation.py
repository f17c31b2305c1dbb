"""The curation stage: steps that make and check a corpus from sources; and the deduplication curve."""

from typing import Annotated

from components.artifacts import Artifact, Corpus, DeduplicationCurve, Mixture
from components.checks.limits import CorpusLimits
from components.curation.config import CurationConfig
from infra.flyte import environments
from workflows.steps.checks import check
from workflows.steps.inputs import Component, only
from workflows.steps.run import Run
from workflows.steps.step import obtain, step


def source_facts(config: CurationConfig) -> dict[str, str]:
    """A fingerprint of the sources' files."""
    from components.curation.reading.sources import fingerprint

    return {"sources": fingerprint(config.inputs)}


@step(environments.data, Corpus, facts=source_facts)
def curation(config: CurationConfig) -> Component:
    """Read, normalise, filter, deduplicate and split the sources."""
    from components.curation.curate import curate

    return curate


check_corpus = check("components.checks.corpus", CorpusLimits, Annotated[Corpus, only(Mixture.NAME, "metrics/*")])


@environments.driver.task
async def dedup_curve(config: CurationConfig, run: Run) -> Artifact:
    """The deduplication curve of a recipe's sources; reused if neither config nor sources have changed."""
    curve = await obtain(run, deduplication_curve, config)
    return curve.as_(Artifact)


@step(environments.data, DeduplicationCurve, facts=source_facts)
def deduplication_curve(config: CurationConfig) -> Component:
    """Deduplicate the first source alone, the first two together, and so on up to all of them."""
    from components.curation.curve import measure_curve

    return measure_curve

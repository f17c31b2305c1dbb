"""Curation: from sources to a corpus, and its check; and the deduplication curve."""

from components.artifacts import Artifact, Check, Corpus, DeduplicationCurve
from components.checks.limits import CorpusLimits
from components.curation.config import CurationConfig
from infra.flyte import environments
from workflows.steps.step import Order, Run, make, obtain


async def obtain_corpus(run: Run, config: CurationConfig) -> Corpus:
    """The corpus of a config, made again where a source has changed."""
    corpus: Corpus = await obtain(run, curation, config, facts=_source_facts(config))
    return corpus


def _source_facts(config: CurationConfig) -> dict[str, str]:
    from components.curation.reading.sources import fingerprint

    return {"sources": fingerprint(config.inputs)}


@environments.data.task
async def curation(order: Order, config: CurationConfig) -> Corpus:
    """Read, normalise, filter, deduplicate and split the sources."""
    from components.curation.curate import curate

    return make(
        order,
        Corpus,
        config,
        lambda work: curate(config, output=work.output, scratch=work.scratch, engine=work.engine, metrics=work, index=work.index),
    )


@environments.cpu.task
async def check_corpus(order: Order, limits: CorpusLimits, corpus: Corpus) -> Check:
    """Check the corpus by its metrics tables."""
    from components.checks.corpus import check

    return make(
        order,
        Check,
        limits,
        lambda work: work.report(check(limits, artifact=work.local(corpus), output=work.output)),
        corpus=corpus,
    )


@environments.driver.task
async def dedup_curve(config: CurationConfig, run: Run) -> Artifact:
    """The deduplication curve of a recipe's sources; reused where neither config nor sources have changed."""
    curve = await obtain(run, deduplication_curve, config, facts=_source_facts(config))
    return curve.as_(Artifact)


@environments.data.task
async def deduplication_curve(order: Order, config: CurationConfig) -> DeduplicationCurve:
    """Deduplicate the first source alone, the first two together, and so on up to all of them."""
    from components.curation.curve import measure_curve

    return make(
        order,
        DeduplicationCurve,
        config,
        lambda work: measure_curve(config, output=work.output, scratch=work.scratch, engine=work.engine, metrics=work),
    )

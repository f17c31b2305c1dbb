"""Curation: from sources to a corpus, and its check; and the curve of deduplication."""

from components.artifacts import Artifact, Check, Corpus, DeduplicationCurve
from components.checks.limits import CorpusLimits
from components.curation.config import CurationConfig
from infra.flyte import environments
from workflows.steps.step import Order, Run, make, obtain


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
    """The curve of deduplication of some sources; what is already there and unchanged is reused."""
    from components.curation.reading.sources import fingerprint

    curve = await obtain(run, deduplication_curve, config, facts={"sources": fingerprint(config)})
    return curve.as_(Artifact)


@environments.data.task
async def deduplication_curve(order: Order, config: CurationConfig) -> DeduplicationCurve:
    """Deduplicate one source, two and so on up to all of them together."""
    from components.curation.curve import measure_curve

    return make(
        order,
        DeduplicationCurve,
        config,
        lambda work: measure_curve(config, output=work.output, scratch=work.scratch, engine=work.engine, metrics=work),
    )

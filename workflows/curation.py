"""Curation: from sources to a corpus, and its check."""

from components.artifacts import Check, Corpus
from components.checks.limits import CorpusLimits
from components.curation.config import CurationConfig
from infra import environments
from workflows.step import Order, make


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

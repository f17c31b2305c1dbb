"""Whether the documents that curation would hold out are as many, and as long, as the checks and evaluation require."""

from collections.abc import Iterator, Set
from dataclasses import dataclass

from components.artifacts import VALIDATION
from components.checks.limits import CheckLimits
from components.curation.corpus.config import CorpusConfig
from components.errors import SourceError
from components.generation.scored import MIN_BYTES
from workflows.preflight.question import Problem

MARGIN = 0.75
"""Share of a limit below which the number of held-out documents is a problem. Near-duplicates are not searched for here, and
without them other documents may be held out."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A document that passes the filters."""

    text: int
    """Hash of its text, by which curation draws."""
    bytes: int
    """Size of its text in UTF-8."""


def short_domain(domain: str, kept: Set[Kept]) -> Iterator[Problem]:
    """A problem if no document that was read of a domain is long enough for bits per byte."""
    if kept and not any(document.bytes >= MIN_BYTES for document in kept):
        what = f"none of the {len(kept)} documents that were read has {MIN_BYTES} bytes"
        remedy = f"bits per byte is measured on held-out documents of at least {MIN_BYTES} bytes: join documents, or add longer"
        yield Problem(_field(domain), SourceError(f"domain {domain}: {what}; {remedy}"))


def small_domain(
    domain: str, kept: Set[Kept], config: CorpusConfig, checks: CheckLimits, *, seed: int, is_evaluated: bool
) -> Iterator[Problem]:
    """A problem for each limit that the documents held out of a domain, all of whose documents are in `kept`, do not reach."""
    held = _held_out(domain, kept, config.validation_share, seed)
    long = [document for document in held if document.bytes >= MIN_BYTES]
    limits = [("checks.corpus.min_validation_documents", len(held), checks.corpus.min_validation_documents)]
    if is_evaluated:
        limits.append(("checks.evaluation.min_documents_per_domain", len(long), checks.evaluation.min_documents_per_domain))
    for name, count, minimum in limits:
        if count < MARGIN * minimum:
            size = f" of at least {MIN_BYTES} bytes" if name.startswith("checks.evaluation") else ""
            what = f"about {count} of its {len(kept)} documents would be held out{size}; {name} requires {minimum}"
            remedy = f"add documents, raise curation.corpus.validation_share ({config.validation_share}), or lower the limit"
            yield Problem(_field(domain), SourceError(f"domain {domain}: {what}: {remedy}"))


def _held_out(domain: str, kept: Set[Kept], share: float, seed: int) -> list[Kept]:
    """The documents that curation would hold out if these are all documents of the domain."""
    from components.curation.corpus.ledger import GROUP_DIGITS
    from components.curation.corpus.split import assign
    from components.curation.text.draw import group_of

    groups: dict[str, list[Kept]] = {}
    for document in kept:
        groups.setdefault(group_of(document.text)[:GROUP_DIGITS], []).append(document)
    sizes = {group: {domain: sum(document.bytes for document in documents)} for group, documents in groups.items()}
    splits = assign(sizes, {}, share=share, seed=seed)
    return [document for group, documents in groups.items() if splits[group] == VALIDATION for document in documents]


def _field(domain: str) -> str:
    return f"curation.sources of {domain}"

"""The record of what curation left out: documents by reason, files that were not read, and items of benchmarks."""

from collections import Counter
from collections.abc import Iterator, Mapping

from components.artifacts import MAX_CASES, Omission, OmissionCase, Omissions
from components.curation.corpus.ledger import Tally
from components.curation.reading.sources import Listing
from components.curation.tables.reasons import CONTAMINATED, DUPLICATE_PASSAGES, EXACT, FLAGGED, LOW_QUALITY, NEAR
from components.curation.text.heuristics import threshold_names

SETTINGS: Mapping[str, str] = {
    "bad-line": "curation.sources",
    "short": "curation.filtering.min_characters",
    "long": "curation.filtering.max_characters",
    "repeated-lines": "curation.filtering.max_repeated_lines",
    FLAGGED: "curation.filtering.max_flagged_words_ratio",
    CONTAMINATED: "curation.filtering.benchmarks",
    LOW_QUALITY: "curation.quality.max_refused_share",
    EXACT: "curation.sources",
    NEAR: "curation.duplicates.near_duplicate_threshold",
    DUPLICATE_PASSAGES: "curation.passages.action",
}
"""Fields of the recipe that decide how many documents are removed for a reason."""


def omissions_of(tally: Tally, listing: Listing, items: Omissions) -> Omissions:
    """The record of a corpus: `items` are those of benchmarks."""
    return Omissions(rows=(*_documents(tally), *_files(tally, listing), *items.rows))


def _documents(tally: Tally) -> Iterator[Omission]:
    totals, thresholds = tally.documents_by_source(), threshold_names()
    removed = [(*key, count) for key, count in tally.documents.items() if key[2]]
    for source, domain, reason, count in sorted(removed, key=lambda row: (*row[:2], -row[3], row[2])):
        setting = SETTINGS.get(reason, "curation.filtering.heuristic_thresholds" if reason in thresholds else "")
        cases = tuple(OmissionCase(uri=uri) for uri in tally.cases[source, domain, reason])
        counts = {"count": count, "total": totals[source, domain]}
        yield Omission(source=source, unit="documents", reason=reason, **counts, setting=setting, cases=cases)


def _files(tally: Tally, listing: Listing) -> Iterator[Omission]:
    """Files that were set aside, and those whose suffix is unknown. Sources of packages share files, which are listed once."""
    totals = Counter([*(file.source for file in listing.files), *(file.source for file in listing.skipped)])
    cases: dict[tuple[str, str], list[OmissionCase]] = {}
    for row in tally.set_aside:
        case = OmissionCase(uri=str(row["path"]), detail=str(row["error"]))
        cases.setdefault((str(row["source"]), "set-aside"), []).append(case)
    for file in listing.skipped:
        cases.setdefault((file.source, "unknown-suffix"), []).append(OmissionCase(uri=file.path))
    for (source, reason), own in sorted(cases.items()):
        setting = "curation.sources" if reason == "unknown-suffix" else ""
        counts = {"count": len(own), "total": max(totals[source], len(own))}
        yield Omission(source=source, unit="files", reason=reason, **counts, setting=setting, cases=tuple(own[:MAX_CASES]))

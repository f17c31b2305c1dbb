"""Checks a corpus: every document is accounted for, lengths are plausible, and no domain or source loses too much."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from components.artifacts import SPLITS, CheckReport, Mixture
from components.checks import suite
from components.checks.documents import counts as counts_of
from components.checks.documents import median_bytes, repeated_ids
from components.checks.limits import CorpusLimits
from components.checks.omissions import omitted
from components.checks.own import own_tables
from components.checks.reading import BatchedTable, metrics_table
from components.checks.rules import between, finite, has_rows, holds, in_set, no_duplicates, no_nulls
from components.checks.suite import Table
from components.errors import require

if TYPE_CHECKING:
    import pandas as pd

DOCUMENT_COLUMNS = ("id", "source", "domain", "language", "split", "bytes", "characters", "kept", "reason")
SOURCE_COLUMNS = (
    "source",
    "domain",
    "documents",
    "bytes",
    "kept_documents",
    "refused_documents",
    "duplicate_documents",
    "duplicate_bytes",
    "set_aside_files",
)
QUALITY_COLUMNS = ("language", "domain", "documents", "refused_documents", "bytes", "refused_bytes", "auc")
CLUSTER_COLUMNS = ("source", "domain", "kept", "documents", "share")
SOURCE_KEY = ["source", "domain"]
"""Columns that together identify a source."""

AUDIT_COLUMNS = ("reason", "removed", "kept", "counted", "similar")
PRECISION_COLUMNS = ("reason", "removals", "sampled", "precision", "low")
MIN_AUC = 0.6
"""Area under the ROC curve below which a quality score hardly separates references from sources. A failure is only a warning,
because the sources may be as good as the references."""

NAMED_CLUSTERS = 3
"""Clusters listed for each source in the loss-budget table."""


def check(limits: CorpusLimits, *, artifact: Path, output: Path) -> CheckReport:
    """Check the corpus at `artifact` and write the report to `output/corpus.html`.

    Raises:
        MissingArtifact, DamagedArtifact: a metrics table or `mixture.json` is missing or damaged.
        ConfigError: `max_duplicate_share_by_source` names a source that the corpus does not have.
    """
    documents = BatchedTable(artifact, "documents", DOCUMENT_COLUMNS)
    shares = Mixture.read(artifact).shares
    counts = counts_of(artifact)
    tables = [_documents(documents), _repeated(artifact, counts), _kept(documents, limits), _lengths(artifact, limits)]
    tables += [_domains(counts, shares, limits), _sources(artifact, counts, limits)]
    tables += [_budgets(artifact, limits), _clusters(artifact, limits), _audit(artifact), _precision(artifact, limits)]
    tables.append(omitted(artifact, limits.max_omitted_share, unit="benchmark items"))
    if (artifact / "metrics" / "quality.parquet").exists():
        tables.append(_quality(artifact, limits))
    return suite.run("corpus", [*tables, *own_tables(limits, artifact)], output)


def _documents(documents: BatchedTable) -> Table:
    rules = (
        has_rows(),
        no_nulls("id"),
        no_nulls("source"),
        no_nulls("domain"),
        between("bytes", 0),
        holds("accounted", "every document is either kept in a split or removed with a reason"),
    )
    return Table(name="documents", rows=documents.changed(_accounted), key=("id",), rules=rules)


def _accounted(documents: "pd.DataFrame") -> "pd.DataFrame":
    has_reason = documents["reason"].fillna("") != ""
    is_kept = documents["kept"] & documents["split"].notna() & ~has_reason
    return documents.assign(accounted=is_kept | (~documents["kept"] & documents["split"].isna() & has_reason))


def _repeated(artifact: Path, counts: "pd.DataFrame") -> Table:
    rows = repeated_ids(artifact, int(counts["documents"].sum()))
    return Table(name="repeated ids", rows=rows, key=("id",), rules=(no_duplicates("id"),))


def _kept(documents: BatchedTable, limits: CorpusLimits) -> Table:
    rules = (
        has_rows(),
        in_set("split", SPLITS),
        holds("tagged", "language is an ISO 639 code, code or other"),
        between("bytes", 1, limits.max_document_bytes, fields=("max_document_bytes",)),
        # UTF-8 encodes a character in one to four bytes (RFC 3629).
        between("bytes_per_character", 1, 4),
    )
    return Table(name="kept", rows=documents.changed(_tagged), key=("id",), rules=rules)


def _tagged(documents: "pd.DataFrame") -> "pd.DataFrame":
    kept = documents[documents["kept"]]
    tagged = kept["language"].astype(str).str.fullmatch("[a-z]{2,3}|code|other")
    return kept.assign(bytes_per_character=kept["bytes"] / kept["characters"], tagged=tagged)


def _lengths(artifact: Path, limits: CorpusLimits) -> Table:
    import pandas as pd

    rows = pd.DataFrame({"documents": ["kept"], "median_bytes": [median_bytes(artifact)]})
    rule = between(
        "median_bytes", limits.min_median_bytes, limits.max_median_bytes, fields=("min_median_bytes", "max_median_bytes")
    )
    return Table(name="lengths", rows=rows, key=("documents",), rules=(rule,))


def _domains(counts: "pd.DataFrame", shares: Mapping[str, float], limits: CorpusLimits) -> Table:
    import pandas as pd

    kept = counts[counts["kept"]]
    names = sorted({*kept["domain"].dropna(), *shares})
    train, validation = (
        kept[kept["split"] == split].groupby("domain")[["bytes", "documents"]].sum().reindex(names, fill_value=0)
        for split in SPLITS
    )
    rows = pd.DataFrame(
        {
            "domain": names,
            "share": (train["bytes"] / max(train["bytes"].sum(), 1)).to_numpy(),
            "validation_documents": validation["documents"].to_numpy(),
            "mixture_share": [shares.get(name) for name in names],
        }
    )
    rules = (
        # A single domain may be the whole corpus.
        between(
            "share",
            limits.min_domain_share,
            limits.max_domain_share if len(names) > 1 else 1,
            fields=("min_domain_share", "max_domain_share"),
        ),
        between("validation_documents", limits.min_validation_documents, fields=("min_validation_documents",)),
        finite("mixture_share"),
    )
    return Table(name="domains", rows=rows, key=("domain",), rules=rules)


def _sources(artifact: Path, counts: "pd.DataFrame", limits: CorpusLimits) -> Table:
    counted = metrics_table(artifact, "sources", SOURCE_COLUMNS)
    names = list(counted[SOURCE_KEY].itertuples(index=False, name=None))
    listed, kept = (
        rows.groupby(SOURCE_KEY)["documents"].sum().reindex(names, fill_value=0).to_numpy()
        for rows in (counts, counts[counts["kept"]])
    )
    removed = counted["refused_documents"] + counted["duplicate_documents"]
    rows = counted.assign(
        refused_share=removed / counted["documents"].clip(lower=1),
        complete=(counted["kept_documents"] + removed == counted["documents"])
        & (listed == counted["documents"])
        & (kept == counted["kept_documents"]),
    )
    rules = (
        has_rows(),
        between("kept_documents", 1),
        between("refused_share", 0, limits.max_refused_share, fields=("max_refused_share",)),
        between("set_aside_files", 0, limits.max_set_aside_files, fields=("max_set_aside_files",)),
        holds("complete", "kept, refused and duplicate documents add up to the number of documents listed"),
    )
    return Table(name="sources", rows=rows, key=("source", "domain"), rules=rules)


def _budgets(artifact: Path, limits: CorpusLimits) -> Table:
    """Documents and bytes that each source lost to deduplication, compared with its loss budget."""
    counted = metrics_table(artifact, "sources", SOURCE_COLUMNS)
    names = [f"{source} ({domain})" for source, domain in counted[SOURCE_KEY].itertuples(index=False, name=None)]
    budgets = limits.max_duplicate_share_by_source
    unknown = sorted(budgets.keys() - set(names))
    allowed = f"sources of the corpus: {', '.join(sorted(names))}"
    require(not unknown, limits, "max_duplicate_share_by_source", unknown, allowed)
    rows = counted.assign(
        budget=[budgets.get(name, limits.max_duplicate_share) for name in names],
        of_documents=counted["duplicate_documents"] / counted["documents"].clip(lower=1),
        of_bytes=counted["duplicate_bytes"] / counted["bytes"].clip(lower=1),
        largest_clusters=[_largest_clusters(artifact, *key) for key in counted[SOURCE_KEY].itertuples(index=False, name=None)],
    )
    fields, lost = ("max_duplicate_share", "max_duplicate_share_by_source"), "duplicates and repeated passages"
    rules = (
        holds("documents_within", "the share of documents removed as duplicates is within the source's budget", fields=fields),
        holds("bytes_within", f"the share of bytes lost to {lost} is within the source's budget", fields=fields),
    )
    judged = rows.assign(documents_within=rows["of_documents"] <= rows["budget"], bytes_within=rows["of_bytes"] <= rows["budget"])
    key = ("source", "domain", "of_documents", "of_bytes", "budget", "largest_clusters")
    return Table(name="loss budgets", rows=judged, key=key, rules=rules)


def _quality(artifact: Path, limits: CorpusLimits) -> Table:
    rows = metrics_table(artifact, "quality", QUALITY_COLUMNS)
    rows = rows.assign(
        refused_share=rows["refused_documents"] / rows["documents"].clip(lower=1),
        refused_bytes_share=rows["refused_bytes"] / rows["bytes"].clip(lower=1),
    )
    rules = (
        has_rows(),
        between("refused_share", 0, limits.max_low_quality_share, fields=("max_low_quality_share",)),
        between("refused_bytes_share", 0, 1),
        # At 0.5, the classifier tells references from sources no better than chance.
        between("auc", MIN_AUC, 1, critical=False),
    )
    return Table(name="quality", rows=rows, key=("language", "domain"), rules=rules, every_row=True)


def _largest_clusters(artifact: Path, source: str, domain: str) -> str:
    clusters = metrics_table(artifact, "clusters", CLUSTER_COLUMNS)
    largest = clusters[(clusters["source"] == source) & (clusters["domain"] == domain)].head(NAMED_CLUSTERS)
    named = [f"{count} similar to {kept[:12]}" for count, kept in zip(largest["documents"], largest["kept"], strict=True)]
    return ", ".join(named) or "none"


def _clusters(artifact: Path, limits: CorpusLimits) -> Table:
    rows = metrics_table(artifact, "clusters", CLUSTER_COLUMNS)
    large = rows[rows["documents"] >= limits.min_cluster_documents]
    rule = between("share", 0, limits.max_cluster_share, fields=("max_cluster_share", "min_cluster_documents"))
    return Table(name="clusters", rows=large, key=("source", "domain", "kept"), rules=(rule,))


def _audit(artifact: Path) -> Table:
    rows = metrics_table(artifact, "audit", AUDIT_COLUMNS)
    rule = holds("similar", "the similarity of each sampled removal, measured again, reaches the threshold")
    return Table(name="audit", rows=rows, key=("reason", "removed", "kept", "counted"), rules=(rule,))


def _precision(artifact: Path, limits: CorpusLimits) -> Table:
    rows = metrics_table(artifact, "precision", PRECISION_COLUMNS)
    # In a small sample, even 100 % correct removals leave the lower end of the interval below the limit.
    named = rows.rename(columns={"low": "lower_end"}).assign(
        shown=(rows["low"] >= limits.min_removal_precision) | (rows["precision"] == 1)
    )
    sentence = f"lower_end is at least {limits.min_removal_precision:g}, or every sampled removal is correct"
    key = ("reason", "sampled", "precision", "lower_end")
    return Table(
        name="removal precision", rows=named, key=key, rules=(holds("shown", sentence, fields=("min_removal_precision",)),)
    )

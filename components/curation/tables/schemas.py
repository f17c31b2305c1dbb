"""The schemas of a corpus's tables, and of the interim tables that pass between the steps of curation."""

import pyarrow as pa

DOCUMENTS = pa.schema(
    {
        "id": pa.string(),
        "text": pa.string(),
        "source": pa.string(),
        "uri": pa.string(),
        "group": pa.string(),
        "domain": pa.string(),
        "language": pa.string(),
        "licence": pa.string(),
        "sha256": pa.string(),
        "bytes": pa.int64(),
        "flagged_words_ratio": pa.float32(),
        "quality": pa.float32(),
    }
)
"""A kept document, in `documents/SPLIT/DOMAIN/part-*.parquet`, or in `documents/train/DOMAIN/LANGUAGE/` if the mixture has shares
of the domain's languages. `flagged_words_ratio` is the share of its words that are flagged; null without a list for its language.
`quality` is the share of the documents in its language and domain that scored lower; null without references."""

TEXTS = DOCUMENTS.append(pa.field("document", pa.int64())).append(pa.field("text_hash", pa.uint64()))
"""A document that passed the filters, before deduplication. `document` is its number: shard * 2^32 + row. Documents are drawn and
ordered by `text_hash` (`text/draw.py`)."""

ROWS = pa.schema(
    {
        "document": pa.int64(),
        "text_hash": pa.uint64(),
        "id": pa.string(),
        "source": pa.string(),
        "uri": pa.string(),
        "domain": pa.string(),
        "group": pa.string(),
        "language": pa.string(),
        "bytes": pa.int64(),
        "characters": pa.int64(),
        "flagged_words_ratio": pa.float32(),
        "quality": pa.float32(),
        "reason": pa.string(),
    }
)
"""A document that was read, without its text. `document` is -1 if a filter refused it. `text_hash` is the hash of the text, or of
the raw bytes if there is no text."""

HEADS = pa.schema(
    {
        "text": pa.uint64(),
        "check": pa.uint64(),
        "rank": pa.uint64(),
        "tie": pa.uint64(),
        "document": pa.int64(),
        "part": pa.int64(),
        "id": pa.string(),
        "group": pa.string(),
    }
)
"""A document without its text: the two halves (`text`, `check`) of the text's 128-bit hash, and the document's rank. `part` is
the number of its text shard. Of a cluster, the document with the lowest rank is kept; of copies with equal rank, the one with the
lowest tie."""

ENDS = ("document", "rank", "tie", "part", "text", "id", "group")
"""Columns that an edge has for each of its two documents."""

COPIES = pa.schema({"document": pa.int64(), "part": pa.int64()})
"""A document whose text an earlier document in another shard has too."""

REPEATS = pa.schema(
    {"document": pa.int64(), "text": pa.uint64(), "id": pa.string(), "original": pa.int64(), "original_id": pa.string()}
)
"""A document whose text an earlier document (by rank) of the same shard has too. Only that one, `original`, is compared with
other shards."""

BANDS = pa.schema({"key": pa.uint64(), "rank": pa.uint64(), "document": pa.int64()})
"""The key of one LSH band of a document."""

CANDIDATES = pa.schema({"left": pa.int64(), "right": pa.int64(), "home": pa.uint64()})
"""A pair that shares a bucket; `home` determines the block that may verify it. `left` comes before `right` by rank."""

PAIRS = pa.schema({"left": pa.int64(), "right": pa.int64(), "block": pa.int64()})
"""A candidate pair, and the one block that verifies it."""

NEEDS = pa.schema({"document": pa.int64(), "block": pa.int64(), "part": pa.int64()})
"""A document of shard `part`, and a block that needs its shingles."""

MEMBERS = pa.schema(
    {
        "document": pa.int64(),
        "block": pa.int64(),
        "rank": pa.uint64(),
        "tie": pa.uint64(),
        "part": pa.int64(),
        "text": pa.uint64(),
        "id": pa.string(),
        "group": pa.string(),
        "shingles": pa.large_binary(),
    }
)
"""A document of a candidate pair with its distinct shingles, as the bytes of little-endian uint64 values."""

EDGES = pa.schema(
    [
        *(pa.field(f"{end}_{name}", HEADS.field(name).type) for name in ENDS for end in ("left", "right")),
        pa.field("similarity", pa.float64()),
        pa.field("copy", pa.bool_()),
    ]
)
"""A verified pair of documents; `left` comes before `right` by rank. With `copy`, both have the same text."""

LABELS = pa.schema({"node": pa.int64(), "component": pa.int64()})
"""A document, and the lowest document number in its connected component; the lowest document itself is not listed."""

CONNECTED = pa.schema([pa.field("component", pa.int64()), *EDGES])
"""A verified pair with its connected component."""

VERDICTS = pa.schema(
    {
        "document": pa.int64(),
        "part": pa.int64(),
        "text": pa.uint64(),
        "kept": pa.int64(),
        "kept_text": pa.uint64(),
        "similarity": pa.float64(),
        "reason": pa.string(),
        "group": pa.string(),
        "id": pa.string(),
        "kept_id": pa.string(),
    }
)
"""The verdict of deduplication on a document: removed in favour of document `kept`; or kept (`kept` is -1 and `kept_text` 0), as
a member of a cluster that must be in one split. `text` and `kept_text` are text hashes."""

RAW = pa.schema({"source": pa.string(), "path": pa.string(), "sha256": pa.string(), "bytes": pa.int64()})
"""A raw file that was read."""

GROUPS = pa.schema({"group": pa.string(), "split": pa.string(), "source": pa.string()})
"""The split of a group, and the first of its sources by name."""

REMOVED = pa.schema({"removed": pa.string(), "kept": pa.string(), "similarity": pa.float64()})
"""The id of a document removed as a duplicate, the id of the document kept in its favour, and their Jaccard similarity."""

METRICS = pa.schema(
    {
        "id": pa.string(),
        "source": pa.string(),
        "domain": pa.string(),
        "language": pa.string(),
        "split": pa.string(),
        "bytes": pa.int64(),
        "characters": pa.int64(),
        "kept": pa.bool_(),
        "reason": pa.string(),
        "uri": pa.string(),
        "flagged_words_ratio": pa.float32(),
        "quality": pa.float32(),
    }
)
"""A document that was read. `reason` is empty if it is kept; `split` is null if it is not. `bytes` is the size after trimming."""

SOURCES = pa.schema(
    {
        "source": pa.string(),
        "domain": pa.string(),
        "documents": pa.int64(),
        "bytes": pa.int64(),
        "kept_documents": pa.int64(),
        "kept_bytes": pa.int64(),
        "refused_documents": pa.int64(),
        "duplicate_documents": pa.int64(),
        "duplicate_bytes": pa.int64(),
        "set_aside_files": pa.int64(),
    }
)
"""Counts of a source and domain. `duplicate_bytes` includes bytes of trimmed passages."""

SET_ASIDE = pa.schema(
    {"source": pa.string(), "domain": pa.string(), "path": pa.string(), "bytes": pa.int64(), "error": pa.string()}
)
"""A raw file that could not be read to its end; none of its documents are in the corpus."""

CONTAMINATION = pa.schema(
    {
        "id": pa.string(),
        "source": pa.string(),
        "domain": pa.string(),
        "benchmark": pa.string(),
        "file": pa.string(),
        "item": pa.int64(),
        "shared": pa.int64(),
        "share": pa.float64(),
    }
)
"""A document that shares n-grams with a benchmark item: their number, and their share of the item's n-grams. In the order of
reading."""

BENCHMARKS = pa.schema(
    {"benchmark": pa.string(), "file": pa.string(), "item": pa.int64(), "grams": pa.int64(), "record": pa.string()}
)
"""A benchmark item as JSON, and the number of its n-grams that documents are searched for. An item with 0 is not searched for: it
has fewer words than an n-gram, or all of its n-grams belong to the benchmark's template."""

PERSONAL_DATA = pa.schema(
    {"source": pa.string(), "domain": pa.string(), "kind": pa.string(), "documents": pa.int64(), "found": pa.int64()}
)
"""Personal data replaced in documents that passed the filters: the number of documents and of replacements (`found`)."""

QUALITY = pa.schema(
    {
        "language": pa.string(),
        "domain": pa.string(),
        "reference_documents": pa.int64(),
        "auc": pa.float64(),
        "cut": pa.float64(),
        "documents": pa.int64(),
        "bytes": pa.int64(),
        "refused_documents": pa.int64(),
        "refused_bytes": pa.int64(),
    }
)
"""What the quality score refused of a language and domain. `auc` is the probability that a reference scores higher than another
document, measured on documents held out of training; `cut` is the log-odds below which documents are refused."""

SAMPLES = pa.schema(
    {
        "step": pa.string(),
        "reason": pa.string(),
        "text_hash": pa.uint64(),
        "id": pa.string(),
        "source": pa.string(),
        "uri": pa.string(),
        "domain": pa.string(),
        "language": pa.string(),
        "before": pa.string(),
        "after": pa.string(),
        "kept": pa.string(),
        "similarity": pa.float64(),
        "quality": pa.float32(),
    }
)
"""An example document of a step and reason, with excerpts of its text before and after the step, in which personal data is
replaced. For a duplicate, `after` is an excerpt of the document `kept` in its favour."""

SHARDS = pa.schema({"shard": pa.int64(), "source": pa.string(), "path": pa.string(), "bytes": pa.int64()})
"""A file, and the number of the shard that reads it; null if its kind is not read."""

LOSSES = pa.schema(
    {
        "kept_text": pa.uint64(),
        "kept": pa.string(),
        "source": pa.string(),
        "domain": pa.string(),
        "documents": pa.int64(),
    }
)
"""Number of a source's documents that were removed in favour of the document `kept`."""

CLUSTERS = pa.schema(
    {
        "source": pa.string(),
        "domain": pa.string(),
        "kept": pa.string(),
        "kept_text": pa.uint64(),
        "documents": pa.int64(),
        "share": pa.float64(),
    }
)
"""One of the largest clusters of a source: the number of its documents removed in favour of the document `kept`, and their share
of the source's documents. Clusters of equal size are ordered by `kept_text`, the kept document's text hash."""

AUDIT = pa.schema(
    {
        "reason": pa.string(),
        "removed": pa.string(),
        "kept": pa.string(),
        "recorded": pa.float64(),
        "counted": pa.float64(),
        "similar": pa.bool_(),
    }
)
"""A sampled removal: the similarity that deduplication recorded, the similarity measured again by the audit (`counted`), and
whether the latter reaches the threshold."""

PRECISION = pa.schema(
    {
        "reason": pa.string(),
        "removals": pa.int64(),
        "sampled": pa.int64(),
        "similar": pa.int64(),
        "precision": pa.float64(),
        "low": pa.float64(),
        "high": pa.float64(),
    }
)
"""The share of correct removals of a reason among those sampled, and its 95 % confidence interval over all removals."""

REFUSALS = pa.schema(
    {
        "source": pa.string(),
        "domain": pa.string(),
        "language": pa.string(),
        "reason": pa.string(),
        "documents": pa.int64(),
        "bytes": pa.int64(),
    }
)
"""Documents and bytes by source, domain, language and reason for not keeping them; the reason of kept documents is empty."""

PASSAGES = pa.schema(
    {
        "id": pa.string(),
        "kind": pa.string(),
        "start": pa.int64(),
        "end": pa.int64(),
        "kept": pa.string(),
        "kept_start": pa.int64(),
        "kept_end": pa.int64(),
        "text": pa.string(),
    }
)
"""A line or substring trimmed from document `id`, and the document `kept` that keeps it. Positions are in UTF-8 bytes of the
normalised texts before trimming. `text` is the start of the passage."""

PASSAGE_COUNTS = pa.schema(
    {
        "source": pa.string(),
        "domain": pa.string(),
        "documents": pa.int64(),
        "lines": pa.int64(),
        "substrings": pa.int64(),
        "bytes": pa.int64(),
    }
)
"""The number of a source's trimmed documents, and the lines, substrings and bytes trimmed from them."""

TRIMMED = pa.schema(
    {
        "document": pa.int64(),
        "text": pa.string(),
        "bytes": pa.int64(),
        "characters": pa.int64(),
        "cut": pa.int64(),
        "reason": pa.string(),
    }
)
"""A trimmed document: its remaining text and sizes, the bytes trimmed (`cut`), and the reason if it is removed instead."""

"""The schemas of a corpus's tables, and of those that only pass between its steps."""

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
"""A kept document: `documents/SPLIT/DOMAIN/part-*.parquet`, or below `train/DOMAIN/LANGUAGE/` where the mixture has shares of a
domain's languages. `flagged_words_ratio` is the share of its words that are flagged, `quality` the share of its language in its
domain that scored lower; null where there is no list, or no reference."""

TEXTS = DOCUMENTS.append(pa.field("document", pa.int64())).append(pa.field("text_hash", pa.uint64()))
"""A document that no filter refused, before deduplication. `document` numbers them: shard * 2^32 + row. By `text_hash` documents
are drawn and ordered (`text/draw.py`)."""

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
"""Every document read, without its text; `document` is -1 where a filter refused it. Where there is no text, `text_hash` is that
of the raw bytes."""

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
"""A document without its text: the halves of the text's 128-bit hash, and its rank; of a cluster the lowest rank is kept, and of
copies with one rank the lowest tie."""

ENDS = ("document", "rank", "tie", "part", "text", "id", "group")
"""What an edge says of either end."""

COPIES = pa.schema({"document": pa.int64(), "part": pa.int64()})
"""Documents whose text an earlier one has."""

REPEATS = pa.schema(
    {"document": pa.int64(), "text": pa.uint64(), "id": pa.string(), "original": pa.int64(), "original_id": pa.string()}
)
"""A shard's documents whose text an earlier one of the same shard has, by rank: that one meets others for all of them."""

BANDS = pa.schema({"key": pa.uint64(), "rank": pa.uint64(), "document": pa.int64()})
"""One row per LSH band of a document."""

CANDIDATES = pa.schema({"left": pa.int64(), "right": pa.int64(), "home": pa.uint64()})
"""Pairs that share a bucket, and where they may be verified; `left` comes first by rank."""

PAIRS = pa.schema({"left": pa.int64(), "right": pa.int64(), "block": pa.int64()})
"""Candidates, each in the one block in which it is verified."""

NEEDS = pa.schema({"document": pa.int64(), "block": pa.int64(), "part": pa.int64()})
"""Which blocks need the shingles of a shard's document."""

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
"""A candidate with its distinct shingles as little-endian uint64."""

EDGES = pa.schema(
    [
        *(pa.field(f"{end}_{name}", HEADS.field(name).type) for name in ENDS for end in ("left", "right")),
        pa.field("similarity", pa.float64()),
        pa.field("copy", pa.bool_()),
    ]
)
"""A verified pair; a copy has the text of its left end."""

LABELS = pa.schema({"node": pa.int64(), "component": pa.int64()})
"""The lowest document of the connected component that a document is in; that one itself is not listed."""

CONNECTED = pa.schema([pa.field("component", pa.int64()), *EDGES])

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
"""What became of a document, with the hash of its text: removed in favour of `kept`, or kept (-1, and 0) in a cluster that must
be in one split."""

RAW = pa.schema({"source": pa.string(), "path": pa.string(), "sha256": pa.string(), "bytes": pa.int64()})
GROUPS = pa.schema({"group": pa.string(), "split": pa.string(), "source": pa.string()})
REMOVED = pa.schema({"removed": pa.string(), "kept": pa.string(), "similarity": pa.float64()})
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

SET_ASIDE = pa.schema(
    {"source": pa.string(), "domain": pa.string(), "path": pa.string(), "bytes": pa.int64(), "error": pa.string()}
)
"""A raw file that could not be read to its end: nothing of it is in the corpus."""

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
"""Which document hit which item of which benchmark: the n-grams that they share, and their share of the item's, in the order of
reading."""

BENCHMARKS = pa.schema(
    {"benchmark": pa.string(), "file": pa.string(), "item": pa.int64(), "grams": pa.int64(), "record": pa.string()}
)
"""The items of the evaluation sets that documents were searched for: by how many n-grams, and the item as JSON. By 0 one is not
searched for: it has fewer words than an n-gram, or all of its n-grams are the benchmark's template."""

PERSONAL_DATA = pa.schema(
    {"source": pa.string(), "domain": pa.string(), "kind": pa.string(), "documents": pa.int64(), "found": pa.int64()}
)
"""Personal data replaced in documents that no filter refused."""

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
"""What the learned score refused of each language in each domain: `auc` is the chance that a reference scores above a document of
the sources, of those that were not learned from; `cut` the log-odds below which documents were refused."""

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
"""A few documents of each step and reason, the heads of their texts before and after it, with personal data replaced. Of a
duplicate `after` is the text of the document `kept` instead."""

SHARDS = pa.schema({"shard": pa.int64(), "source": pa.string(), "path": pa.string(), "bytes": pa.int64()})
"""The plan of the shards: which file is read in which; null for a file of a kind that is not read."""

LOSSES = pa.schema(
    {
        "kept_text": pa.uint64(),
        "kept": pa.string(),
        "source": pa.string(),
        "domain": pa.string(),
        "documents": pa.int64(),
    }
)
"""How many documents of a source were removed in favour of a kept one."""

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
"""The largest clusters of each source: what was removed of it in favour of `kept`, the hash of whose text decides between equals,
and its share of the source's documents."""

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
"""Sampled removals: their similarity as deduplication recorded it and as it was counted anew, and whether that is enough."""

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
"""Share of the sampled removals of each reason that have their partner, and its 95 % interval over all of them."""

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
"""What was not kept, counted by source, domain, language and reason; an empty reason counts what was kept."""


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
"""A line or substring taken out of a document, and the document that has it first; positions are in UTF-8 bytes of the normalised
texts before any passage was taken out. `text` is how it starts."""

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
"""Trimmed documents of a source, the passages taken out of them, and their bytes."""

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
"""A trimmed document: what remains of it, the bytes that were cut, and the reason if it is removed altogether."""

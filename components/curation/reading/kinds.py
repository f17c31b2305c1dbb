"""Determines the kind of a raw file from its suffix."""

from pathlib import PurePath

KINDS = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    ".arrow": "arrow",
    ".warc": "warc",
    ".wet": "warc",
    ".txt": "text",
    ".md": "text",
    ".rst": "text",
    ".tex": "text",
    ".py": "text",
}
"""Kind of a file by its suffix; JSON lines, text and WARC files may also be compressed."""

JSON_LINES = ".json"
"""Suffix that some corpora (C4, Dolma) use for compressed JSON lines. An uncompressed `.json` file is usually a single value and
is not read."""

TABLES = ("parquet", "arrow")
"""Kinds that have their own compression."""

OWN = "own"
"""Kind of the files that a recipe's own reader reads."""

ROWS = ("jsonl", "warc", OWN, *TABLES)
"""Kinds with many documents per file, which are sampled by row instead of by file."""

COMPRESSED = (".gz", ".zst")


def kind_of(path: PurePath) -> str:
    """The kind of a file (a value of `KINDS`), or an empty string if it is not read."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] in COMPRESSED:
        plain = suffixes[-2] if len(suffixes) > 1 else ""
        inner = "jsonl" if plain == JSON_LINES else KINDS.get(plain, "")
        return "" if inner in TABLES else inner
    return KINDS.get(suffixes[-1], "") if suffixes else ""

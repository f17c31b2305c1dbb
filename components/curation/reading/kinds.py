"""What raw files hold, by their suffixes."""

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
"""What a file contains, by its suffix; JSON lines, text and WARC may also be compressed."""

JSON_LINES = ".json"
"""How some corpora (C4, Dolma) name compressed JSON lines; an uncompressed `.json` is usually one value, and not read."""

TABLES = ("parquet", "arrow")
"""Kinds with compression of their own."""

OWN = "own"
"""What the reader of the recipe's own reads."""

ROWS = ("jsonl", "warc", OWN, *TABLES)
"""Kinds with many documents in a file: a sample takes a share of each file."""

COMPRESSED = (".gz", ".zst")


def kind_of(path: PurePath) -> str:
    """What a file contains, by `KINDS`, or an empty string."""
    suffixes = [suffix.lower() for suffix in path.suffixes]
    if suffixes and suffixes[-1] in COMPRESSED:
        plain = suffixes[-2] if len(suffixes) > 1 else ""
        inner = "jsonl" if plain == JSON_LINES else KINDS.get(plain, "")
        return "" if inner in TABLES else inner
    return KINDS.get(suffixes[-1], "") if suffixes else ""

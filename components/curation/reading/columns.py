"""Chooses the field, or column, of a file that contains the text."""

import difflib
import itertools
import json
from collections.abc import Iterable, Sequence

from components.curation.reading.config import Source
from components.errors import SourceError

TEXT = "text"
"""Default of `Source.text_field`."""

WELL_KNOWN = ("content", "raw_content", "body", "article", "document", "code")
"""Names that published corpora use instead, such as `content` in The Stack, `raw_content` in RedPajama-V2 and `code` in
CodeParrot's github-code."""

HEAD = 100
"""Number of first lines of a JSONL file by which its fields are known."""


def text_field_of(source: Source, names: Sequence[str], location: str) -> str:
    """The name, among those that a file has, of the field with the text.

    That is the source's `text_field`. If it is the default and the file does not have it, it is the only one of `WELL_KNOWN` that
    the file has.

    Raises:
        SourceError: there is none, or several; the message has the line to write.
    """
    known = [name for name in WELL_KNOWN if name in names]
    if source.text_field in names:
        return source.text_field
    if source.text_field == TEXT and len(known) == 1:
        return known[0]
    likely = known or difflib.get_close_matches(source.text_field, names, n=1) or names
    example = f'Source(…, text_field="{likely[0]}")' if likely else "Source.text_field"
    columns = ", ".join(names) or "none"
    raise SourceError(
        f"{location}: no column {source.text_field!r}; its columns are {columns}; name the one with the text, such as {example} "
        f"or --set curation.sources.{source.name}.text_field={likely[0] if likely else 'NAME'}"
    )


def fields_with_text(lines: Iterable[bytes | None]) -> list[str]:
    """The fields that contain text in the first `HEAD` lines of a JSONL file, in the order in which they occur."""
    names: dict[str, None] = {}
    for line in itertools.islice(lines, HEAD):
        try:
            row = json.loads(line or b"")
        except (ValueError, RecursionError):
            continue
        if isinstance(row, dict):
            names |= dict.fromkeys(name for name, value in row.items() if isinstance(value, str) and value.strip())
    return list(names)

"""datatrove's Gopher quality and repetition filters on the documents of a JSONL file; prints seconds and verdicts as JSON.

Runs in the peers' own environment: `python datatrove_filters.py DOCUMENTS.jsonl`.
"""

import json
import sys
import time
from pathlib import Path

from datatrove.data import Document
from datatrove.pipeline.filters import GopherQualityFilter, GopherRepetitionFilter
from datatrove.pipeline.filters.base_filter import BaseFilter


def main() -> None:
    """Judge every document by both filters, the way a pipeline does: what one refuses, the next does not see."""
    rows = [json.loads(line) for line in Path(sys.argv[1]).read_text(encoding="utf-8").splitlines()]
    filters = [GopherQualityFilter(), GopherRepetitionFilter()]
    judge(filters, rows[:1])
    started = time.process_time()
    judge(filters, rows)
    seconds = time.process_time() - started
    # It counts punctuation marks as words, so technical prose falls below 80 % words with letters: verdicts without that rule.
    kept = judge([GopherQualityFilter(max_non_alpha_words_ratio=None), GopherRepetitionFilter()], rows)
    print(json.dumps({"seconds": seconds, "kept": kept}))


def judge(filters: list[BaseFilter], rows: list[dict[str, str]]) -> list[bool]:
    """Which documents are kept."""
    return [all(rule.filter(Document(text=row["text"], id="")) is True for rule in filters) for row in rows]


if __name__ == "__main__":
    main()

"""Leaves out items that do not fit into the context of every model, so that all models are measured on the same items."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from components.artifacts import OmissionCase, OmissionTally
from components.evaluation.items import MAX_WORD_TOKENS, Row, Tasks
from components.model.configuration import read_shape
from components.tokenizer.text_tokenizer import FILE, TextTokenizer

UNIT = "selected items"
"""Unit of the omissions: items that were selected for a task."""


def fitting(tasks: Tasks, checkpoints: Iterable[Path], tally: OmissionTally) -> Tasks:
    """The tasks without the items that are too long for one of the models; these are recorded in `tally`.

    Only items of benchmarks and of a recipe's own tasks are checked: items made from held-out text are excerpts, of which the
    model's adapter keeps the end. A task without items that fit is left out.
    """
    models = {((path / FILE).read_bytes(), read_shape(path).context): path for path in checkpoints}
    for (_, context), checkpoint in models.items():
        tokenizer = TextTokenizer.load(checkpoint)
        choices = {name: _fitting(name, rows, 0, context, tokenizer, tally) for name, rows in tasks.choices.items()}
        completions = {
            name: _fitting(name, rows, _answer_tokens(tasks, name), context, tokenizer, tally)
            for name, rows in tasks.completions.items()
        }
        tasks = replace(
            tasks,
            choices={name: rows for name, rows in choices.items() if rows},
            completions={name: rows for name, rows in completions.items() if rows},
        )
    return tasks


def _answer_tokens(tasks: Tasks, name: str) -> int:
    return tasks.scoring[name].max_tokens if name in tasks.scoring else MAX_WORD_TOKENS


def _fitting(
    name: str, rows: list[Row], answer_tokens: int, context: int, tokenizer: TextTokenizer, tally: OmissionTally
) -> list[Row]:
    """The rows that fit with their longest option, or with `answer_tokens` for a generated answer."""
    kept = []
    for row, prompt in zip(rows, tokenizer.encode_batch([row["context"] for row in rows]), strict=True):
        if "uri" in row:
            tally.add(name, UNIT)
            options = tokenizer.encode_batch(row["choices"]) if "choices" in row else []
            # With an option, BOS is one more token and the last token is only a target.
            tokens = len(prompt) + (max(map(len, options)) if options else 1 + answer_tokens)
            if tokens > context:
                case = OmissionCase(uri=row["uri"], detail=f"{tokens:,} tokens; the context has {context:,}")
                tally.omit(name, UNIT, "too-long", case, "pretraining.shape.context")
                continue
        kept.append(row)
    return kept

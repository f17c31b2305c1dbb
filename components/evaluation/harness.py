"""Runs tasks with lm-eval.

Items are passed in memory; nothing is downloaded. `acc`, `acc_norm` and `exact_match` are computed by lm-eval itself, so they are
comparable with results published elsewhere (github.com/EleutherAI/lm-evaluation-harness).
"""

import contextlib
import io
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import datasets
from lm_eval import evaluator
from lm_eval.api.model import LM
from lm_eval.api.task import ConfigurableTask

from components.evaluation.items import MAX_WORD_TOKENS, Row, Scoring, Tasks

_FIRST_WORD = r"^\s*(\w+)"


@dataclass(frozen=True, slots=True)
class TaskScore:
    """The value of one metric of one task."""

    task: str
    metric: str
    value: float
    items: int
    chance: float
    """Expected value of random guessing: 1 / number of options, or for a word 1 / number of candidate words in its context; the
    mean over items."""
    clean_value: float | None = None
    """Value on the items marked `clean`; None if there are none, or if items have no such mark."""
    clean_items: int | None = None
    """Number of items marked `clean`; None if items have no such mark."""


def run(model: LM, tasks: Tasks) -> list[TaskScore]:
    """Score `model` on every task, in the order of `tasks`; empty if there are no tasks."""
    if not (tasks.choices or tasks.completions):
        return []
    with _quiet():
        choices = {name: _choice_task(name, rows) for name, rows in tasks.choices.items()}
        completions = {name: _completion_task(name, rows, tasks.scoring.get(name)) for name, rows in tasks.completions.items()}
        outcome = evaluator.evaluate(lm=model, task_dict=choices | completions, bootstrap_iters=0, log_samples=True)
    results: Mapping[str, Mapping[str, Any]] = outcome["results"]
    samples: Mapping[str, Sequence[Mapping[str, Any]]] = outcome["samples"]
    scores = []
    for name, rows in tasks.choices.items():
        chance = fmean(1 / len(row["choices"]) for row in rows)
        values = {metric: float(results[name][f"{metric},none"]) for metric in ("acc", "acc_norm")}
        scores += [
            TaskScore(name, metric, value, len(rows), chance, *_clean(samples[name], metric)) for metric, value in values.items()
        ]
    for name, rows in tasks.completions.items():
        metric, made_by = ("score", "none") if name in tasks.scoring else ("exact_match", "first-word")
        value, clean = float(results[name][f"{metric},{made_by}"]), _clean(samples[name], metric)
        scores.append(TaskScore(name, metric, value, len(rows), fmean(row["chance"] for row in rows), *clean))
    return scores


def _clean(samples: Sequence[Mapping[str, Any]], metric: str) -> tuple[float | None, int | None]:
    """The mean of a metric over the items marked as clean, and their number."""
    if "clean" not in samples[0]["doc"]:
        return None, None
    values = [float(sample[metric]) for sample in samples if sample["doc"]["clean"]]
    return fmean(values) if values else None, len(values)


def _choice_task(name: str, rows: Sequence[Row]) -> ConfigurableTask:
    """A multiple-choice task. Options start with a space, so there is no delimiter between context and option."""
    return ConfigurableTask(
        config={
            **_common(name, rows),
            "output_type": "multiple_choice",
            "doc_to_target": "gold",
            "doc_to_choice": "choices",
            "metric_list": [_mean("acc"), _mean("acc_norm")],
        }
    )


def _completion_task(name: str, rows: Sequence[Row], scoring: Scoring | None) -> ConfigurableTask:
    """A generation task: the first generated word of the line must be `gold`, unless the task has its own scoring."""
    if scoring is not None:
        return _scored_task(name, rows, scoring)
    return ConfigurableTask(
        config={
            **_common(name, rows),
            "output_type": "generate_until",
            "doc_to_target": "gold",
            "generation_kwargs": {"until": ["\n"], "max_gen_toks": MAX_WORD_TOKENS, "do_sample": False},
            "filter_list": [
                {
                    "name": "first-word",
                    "filter": [{"function": "regex", "regex_pattern": _FIRST_WORD}, {"function": "take_first"}],
                }
            ],
            "metric_list": [_mean("exact_match")],
        }
    )


def _scored_task(name: str, rows: Sequence[Row], scoring: Scoring) -> ConfigurableTask:
    """A generation task whose answers are scored by the task's own rule."""
    return ConfigurableTask(
        config={
            **_common(name, rows),
            "output_type": "generate_until",
            "doc_to_target": "gold",
            "generation_kwargs": {"until": list(scoring.until), "max_gen_toks": scoring.max_tokens, "do_sample": False},
            "process_results": lambda row, answers: {"score": scoring.score(row, answers[0])},
            "metric_list": [_mean("score")],
        }
    )


def _common(name: str, rows: Sequence[Row]) -> dict[str, object]:
    return {
        "task": name,
        "custom_dataset": _in_memory(rows),
        "test_split": "test",
        "doc_to_text": _context,
        "target_delimiter": "",
        "num_fewshot": 0,
    }


def _in_memory(rows: Sequence[Row]) -> Callable[..., dict[str, datasets.Dataset]]:
    return lambda **_: {"test": datasets.Dataset.from_list(list(rows))}


def _context(row: Row) -> str:
    """The context of an item. A function, because lm-eval would render a string as a template, and code contains braces."""
    return str(row["context"])


def _mean(metric: str) -> dict[str, object]:
    return {"metric": metric, "aggregation": "mean", "higher_is_better": True}


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Suppress lm-eval's log, and its progress bars on standard error, which cannot be switched off. Exceptions still pass."""
    logger = logging.getLogger("lm_eval")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with contextlib.redirect_stderr(io.StringIO()):
            yield
    finally:
        logger.setLevel(level)

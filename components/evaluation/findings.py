"""Definitions of the figures of an evaluation, and its headline figures."""

from components.artifacts import BYTE_UNIGRAM, ZLIB_9, Findings

DEFINITIONS = {
    "bits_per_byte": (
        "-log2 p of every token, including end-of-document tokens, divided by the UTF-8 bytes of the text. "
        "Each byte is scored once. Lower is better."
    ),
    BYTE_UNIGRAM: "Baseline: entropy of the byte frequencies of the scored documents. No model without context is better.",
    ZLIB_9: "Baseline: zlib at level 9 on each scored document separately, including its header.",
    "aggregate": "Mean bits per byte of the domains, weighted by fixed shares.",
    "acc": "Fraction of items whose correct option has the highest log-probability.",
    "acc_norm": "Fraction of items whose correct option has the highest log-probability per character.",
    "exact_match": "Fraction of items for which the first greedily generated word is the one in the document.",
    "repetition_ratio": "Fraction of greedy answers that repeat the same tokens up to the length limit. Lower is better.",
    "distinct_answers": "Different first lines among the greedy answers, divided by the number of prompts. Higher is better.",
    "continuation-choice": "Which text continues this held-out document? Wrong options continue other documents of its domain.",
    "answer-choice": "Which answer belongs to this held-out instruction? The wrong options answer other instructions.",
    "preferred-answer": "Is the preferred answer of a held-out pair more probable than the rejected one?",
    "clean": "Items that curation searched for and found in no document of the sources.",
    "contaminated": "Items of which curation found a run of words in a document of the sources. These documents were refused.",
    "left_out": "Items that could not be presented to every model. They are left out for all models, and count in no score.",
    "final-word": "Which word ends this line of a held-out document? The word occurs earlier in the text.",
}
"""The meaning of each figure and task in a sentence. Every report prints them, with those of the recipe's own tasks."""


def share(value: float | None) -> str:
    """A fraction in percent; a dash for None."""
    return "–" if value is None else f"{value:.1%}"


def headlines(findings: Findings) -> dict[str, float]:
    """The headline figures that are shown at the end of a run."""
    figures = {f"bits_per_byte/{model}": value for model, value in findings.aggregate.items()}
    figures |= {f"{row.task}/{row.model}": row.value for row in findings.tasks if row.metric != "acc"}
    figures |= {f"repetition_ratio/{row.model}": row.repetition_ratio for row in findings.repetition}
    figures |= {f"distinct_answers/{row.model}": row.distinct_answers for row in findings.repetition}
    return {name: round(value, 6) for name, value in figures.items()}

"""What the findings of an evaluation mean, and the few figures of them that a step shows."""

from components.artifacts import BYTE_UNIGRAM, ZLIB_9, Findings

DEFINITIONS = {
    "bits_per_byte": (
        "-log2 p of every token, end-of-document included, over the UTF-8 bytes of the text; each byte scored once; "
        "lower is better."
    ),
    BYTE_UNIGRAM: "Entropy of the byte frequencies of the documents scored, by domain: no model without context does better.",
    ZLIB_9: "zlib at level 9 on each of these documents alone, header included.",
    "aggregate": "Bits per byte of the domains, weighted by fixed shares.",
    "acc": "Share of items whose right option has the highest log-probability.",
    "acc_norm": "The same with log-probability per character of the option.",
    "exact_match": "Share of items whose first greedily generated word is the one in the document.",
    "repetition_ratio": "Share of greedy answers that reach the length limit going round in a circle; lower is better.",
    "distinct_answers": "Different first lines among the greedy answers, divided by the number of prompts; higher is better.",
    "continuation-choice": "Which text continues this held-out document? The others continue other documents of its domain.",
    "answer-choice": "Which answer belongs to this held-out instruction? The others answer other instructions.",
    "preferred-answer": "Is the preferred answer of a held-out pair more likely than the rejected one?",
    "clean": "Items that documents were searched for, and of which none held a part; documents that held one were refused.",
    "contaminated": "Items of which a document of the sources held some words in a row, as many as curation searches for.",
    "final-word": "Which word ends this line of a held-out document? It occurs earlier in the text.",
}
"""What each figure means, in one sentence; printed in every report, with the recipe's own tasks."""


def share(value: float | None) -> str:
    """A share in percent, or a dash where there is none."""
    return "–" if value is None else f"{value:.1%}"


def headlines(findings: Findings) -> dict[str, float]:
    """A few figures for the table at the end of a run."""
    figures = {f"bits_per_byte/{model}": value for model, value in findings.aggregate.items()}
    figures |= {f"{row.task}/{row.model}": row.value for row in findings.tasks if row.metric != "acc"}
    figures |= {f"repetition_ratio/{row.model}": row.repetition_ratio for row in findings.repetition}
    figures |= {f"distinct_answers/{row.model}": row.distinct_answers for row in findings.repetition}
    return {name: round(value, 6) for name, value in figures.items()}

"""The results of an evaluation as one value: tables of plain rows, and the figures derived from them."""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from components.names import BYTE_UNIGRAM, ZLIB_9

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


@dataclass(frozen=True, kw_only=True, slots=True)
class BitsPerByteRow:
    """One model, or baseline, on one domain."""

    model: str
    domain: str
    bits_per_byte: float
    documents: int
    bytes: int


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskResult:
    """One metric of one model on one task."""

    model: str
    task: str
    metric: str
    value: float
    items: int
    chance: float
    clean_value: float | None = None
    """The same on clean items alone; None where there is none, and for items cut from held-out text."""
    clean_items: int | None = None
    """None for items cut from held-out text: those are no benchmark."""

    @property
    def is_benchmark(self) -> bool:
        """Whether its items are public."""
        return self.clean_items is not None


@dataclass(frozen=True, kw_only=True, slots=True)
class Contamination:
    """How much of a benchmark curation found in the documents."""

    benchmark: str
    items: int
    contaminated: int
    """Items of which some document held a part."""
    not_searched: int
    """Items of too few words, or of nothing but what many items share, which documents were not searched for."""
    documents: int
    """Documents that held a part of an item, and were refused."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Alignment:
    """What fine-tuning changed on held-out data, as its stage measured it."""

    measure: str
    kind: str
    before: float
    after: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Repetition:
    """How many of a model's greedy answers repeat endlessly."""

    model: str
    repetition_ratio: float
    prompts: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Sample:
    """A model's greedy answer to a user's message."""

    prompt: str
    model: str
    answer: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Origin:
    """Documents of one source, domain, language and licence, train and held-out together."""

    source: str
    domain: str
    language: str
    licence: str
    documents: int
    bytes: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Findings:
    """Everything the report shows."""

    domain_shares: dict[str, float]
    bits_per_byte: tuple[BitsPerByteRow, ...]
    tasks: tuple[TaskResult, ...]
    contamination: tuple[Contamination, ...]
    alignment: tuple[Alignment, ...]
    repetition: tuple[Repetition, ...]
    samples: tuple[Sample, ...]
    origins: tuple[Origin, ...]
    meanings: Mapping[str, str] = field(default_factory=dict)
    """What the recipe's own tasks and their figures mean."""

    @property
    def definitions(self) -> dict[str, str]:
        """What each figure of the report means, in one sentence."""
        return {**DEFINITIONS, **self.meanings}

    @property
    def models(self) -> list[str]:
        """Models and baselines, in the order in which they were measured."""
        return list(dict.fromkeys(row.model for row in self.bits_per_byte))

    @property
    def domains(self) -> list[str]:
        """Domains, in the order in which they were measured."""
        return list(dict.fromkeys(row.domain for row in self.bits_per_byte))

    @property
    def held_out_tasks(self) -> list[TaskResult]:
        """Tasks cut from held-out text."""
        return [row for row in self.tasks if not row.is_benchmark]

    @property
    def benchmarks(self) -> list[TaskResult]:
        """Public benchmarks."""
        return [row for row in self.tasks if row.is_benchmark]

    @property
    def bits(self) -> dict[tuple[str, str], float]:
        """Bits per byte by model and domain."""
        return {(row.model, row.domain): row.bits_per_byte for row in self.bits_per_byte}

    @property
    def aggregate(self) -> dict[str, float]:
        """Bits per byte of each model, weighted by `domain_shares`."""
        return {
            model: sum(share * self.bits[model, domain] for domain, share in self.domain_shares.items()) for model in self.models
        }

    def as_json(self) -> dict[str, Any]:
        """What `report.json` holds."""
        rows = {name: value for name, value in dataclasses.asdict(self).items() if name != "meanings"}
        return {**rows, "aggregate": self.aggregate, "definitions": self.definitions}

    def headlines(self) -> dict[str, float]:
        """A few figures for the table at the end of a run."""
        figures = {f"bits_per_byte/{model}": value for model, value in self.aggregate.items()}
        figures |= {f"{row.task}/{row.model}": row.value for row in self.tasks if row.metric != "acc"}
        figures |= {f"repetition_ratio/{row.model}": row.repetition_ratio for row in self.repetition}
        return {name: round(value, 6) for name, value in figures.items()}

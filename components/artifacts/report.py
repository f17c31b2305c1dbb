"""The findings of an evaluation as one value: tables of plain rows, and the figures derived from them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from components.artifacts.changes import Change
from components.artifacts.json_file import JsonFile


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
class Findings(JsonFile):
    """Everything that an evaluation report shows."""

    NAME: ClassVar[str] = "report.json"
    STEP: ClassVar[str] = "the step evaluation"
    DERIVED: ClassVar[tuple[str, ...]] = ("aggregate",)

    domain_shares: Mapping[str, float]
    """The share of each domain in `aggregate`."""
    bits_per_byte: tuple[BitsPerByteRow, ...]
    tasks: tuple[TaskResult, ...]
    contamination: tuple[Contamination, ...]
    alignment: tuple[Change, ...]
    repetition: tuple[Repetition, ...]
    samples: tuple[Sample, ...]
    origins: tuple[Origin, ...]
    definitions: Mapping[str, str] = field(default_factory=dict)
    """What each figure and task means, in a sentence."""

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

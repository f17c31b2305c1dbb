"""The findings of an evaluation: tables of typed rows, and figures derived from them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from components.artifacts.changes import Change
from components.artifacts.json_file import JsonFile
from components.artifacts.omissions import Omission


@dataclass(frozen=True, kw_only=True, slots=True)
class BitsPerByteRow:
    """Bits per byte of one model or baseline on one domain."""

    model: str
    domain: str
    bits_per_byte: float
    documents: int
    bytes: int


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskResult:
    """The value of one metric for one model on one task."""

    model: str
    task: str
    metric: str
    value: float
    items: int
    chance: float
    clean_value: float | None = None
    """The value on uncontaminated items only; None if there are none, or if the items were cut from held-out text."""
    clean_items: int | None = None
    """Number of uncontaminated items; None if the items were cut from held-out text, which is not a public benchmark."""

    @property
    def is_benchmark(self) -> bool:
        """Whether the task is a public benchmark."""
        return self.clean_items is not None


@dataclass(frozen=True, kw_only=True, slots=True)
class Contamination:
    """How many items of a benchmark curation found in the documents."""

    benchmark: str
    items: int
    contaminated: int
    """Number of items of which at least one document contained a part."""
    not_searched: int
    """Number of items that were not searched for: they have too few words, or only text that many items share."""
    documents: int
    """Number of documents that were refused because they contained a part of an item."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Repetition:
    """How many of a model's greedy answers repeat endlessly, and how many differ from each other."""

    model: str
    repetition_ratio: float
    distinct_answers: float
    """Number of different first lines among the answers, divided by the number of prompts."""
    prompts: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Sample:
    """A model's greedy answer to a user's message."""

    prompt: str
    model: str
    answer: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Origin:
    """Number and size of the documents of one source, domain, language and licence, in both splits."""

    source: str
    domain: str
    language: str
    licence: str
    documents: int
    bytes: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Findings(JsonFile):
    """All results that an evaluation report shows."""

    NAME: ClassVar[str] = "report.json"
    STEP: ClassVar[str] = "the step evaluation"
    DERIVED: ClassVar[tuple[str, ...]] = ("aggregate",)

    domain_shares: Mapping[str, float]
    """Weight of each domain in `aggregate`."""
    bits_per_byte: tuple[BitsPerByteRow, ...]
    tasks: tuple[TaskResult, ...]
    contamination: tuple[Contamination, ...]
    alignment: tuple[Change, ...]
    repetition: tuple[Repetition, ...]
    samples: tuple[Sample, ...]
    origins: tuple[Origin, ...]
    definitions: Mapping[str, str] = field(default_factory=dict)
    """One sentence per figure and task that explains what it means."""
    omissions: tuple[Omission, ...] = ()
    """Items that were left out."""

    @property
    def models(self) -> list[str]:
        """Names of models and baselines, in the order in which they were measured."""
        return list(dict.fromkeys(row.model for row in self.bits_per_byte))

    @property
    def domains(self) -> list[str]:
        """Domains, in the order in which they were measured."""
        return list(dict.fromkeys(row.domain for row in self.bits_per_byte))

    @property
    def held_out_tasks(self) -> list[TaskResult]:
        """Results of tasks whose items were cut from held-out text."""
        return [row for row in self.tasks if not row.is_benchmark]

    @property
    def benchmarks(self) -> list[TaskResult]:
        """Results of public benchmarks."""
        return [row for row in self.tasks if row.is_benchmark]

    @property
    def bits(self) -> dict[tuple[str, str], float]:
        """Bits per byte by model and domain."""
        return {(row.model, row.domain): row.bits_per_byte for row in self.bits_per_byte}

    @property
    def aggregate(self) -> dict[str, float]:
        """Bits per byte of each model, averaged over domains with `domain_shares` as weights."""
        return {
            model: sum(share * self.bits[model, domain] for domain, share in self.domain_shares.items()) for model in self.models
        }

"""Handles of artifacts: small enough to pass through any workflow engine."""

from dataclasses import dataclass
from typing import ClassVar, TypeVar

Kind = TypeVar("Kind", bound="Artifact")


@dataclass(frozen=True, kw_only=True, slots=True)
class Artifact:
    """A finished directory at a URI, pinned by its two digests."""

    uri: str
    """Where the directory is, relative to the root of its store, so that a store can be moved without breaking evidence."""
    digest: str
    """Evidence digest: sha256 in hex over the whole manifest, so also over when, where and by whom the artifact was made."""
    content: str = ""
    """Content digest: sha256 in hex over what the artifact is. Decides reuse. Format 1 has one digest: it is that."""

    RECORD_FILES: ClassVar[tuple[str, ...]] = ("*.html", "*.png", "locations.parquet")
    """Patterns of the paths of its files that are record, not content: pages, plots, lists of locations. They may tell times and
    places, no other step reads them, and their bytes do not decide what the artifact is."""

    def __post_init__(self) -> None:
        if not self.content:
            object.__setattr__(self, "content", self.digest)

    @property
    def pinned(self) -> dict[str, str]:
        """The artifact as events and tags name it: where it is, and its two digests."""
        return {"uri": self.uri, "digest": self.digest, "content": self.content}

    def as_(self, kind: type[Kind]) -> Kind:
        """The same artifact under another type: workflow engines hand on the base type, steps take what they need."""
        return kind(uri=self.uri, digest=self.digest, content=self.content)


@dataclass(frozen=True, kw_only=True, slots=True)
class Corpus(Artifact):
    """Unmixed document shards per split and domain, and a mixture."""


@dataclass(frozen=True, kw_only=True, slots=True)
class DeduplicationCurve(Artifact):
    """Removal rate by number of sources deduplicated together, as a table and a plot."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Tokenizer(Artifact):
    """A trained byte-level BPE tokenizer with its special tokens and chat format."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TokenShards(Artifact):
    """Memory-mapped token ids per split and domain, with the way back to document ids."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingPlan(Artifact):
    """Shape, tokens, batch and learning rate for a compute budget, as a `Plan`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SweepPoint(Artifact):
    """The outcome of one training of a sweep."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SweepRuns(Artifact):
    """The trainings of a sweep as a table."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ScalingLaw(Artifact):
    """A law fitted to the trainings of a sweep, with its report."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict(Artifact):
    """The outcome of a plan beside what its law predicted, and the law fitted again with that training."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Conversations(Artifact):
    """Conversations for supervised fine-tuning, split into train and validation."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PreferencePairs(Artifact):
    """Prompts with a chosen and a rejected answer, split into train and validation."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Checkpoint(Artifact):
    """Model weights with their tokenizer, as a Hugging Face LLaMA directory."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingState(Artifact):
    """A training checkpoint in the middle of pretraining: trainings with another token budget branch from it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class EvaluationReport(Artifact):
    """What was measured of the models, beside the baselines."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RegisteredModel(Artifact):
    """A model with its card and lineage document, ready to be registered under a name and version."""

    RECORD_FILES: ClassVar[tuple[str, ...]] = (*Artifact.RECORD_FILES, "README.md", "lineage.json")


@dataclass(frozen=True, kw_only=True, slots=True)
class Check(Artifact):
    """The outcome of a check on another artifact: its manifest holds the `CheckReport`, its files the HTML page."""

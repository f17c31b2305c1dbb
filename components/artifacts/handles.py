"""Handles of artifacts: small values that steps pass to each other instead of files."""

from dataclasses import dataclass
from typing import ClassVar, TypeVar

Kind = TypeVar("Kind", bound="Artifact")


@dataclass(frozen=True, kw_only=True, slots=True)
class Artifact:
    """Refers to a finished directory by its URI and two digests."""

    KEPT_BY: ClassVar[str]
    """What `longrun gc` keeps artifacts of this kind for, besides runs that are running or named with --keep. Every kind says it;
    `gc` does not delete artifacts of a kind that it does not know."""

    uri: str
    """Directory of the artifact, relative to the root of its store, so that moving a store does not invalidate digests."""
    digest: str
    """Evidence digest: sha256 in hex over the whole manifest, including when, where and by whom the artifact was made."""
    content: str = ""
    """Content digest: sha256 in hex over the content alone; used to decide reuse. Manifests of format 1 have a single digest,
    which is used for both."""

    RECORD_FILES: ClassVar[tuple[str, ...]] = ("*.html", "*.png", "locations.parquet")
    """Path patterns of files that belong to the record, not to the content: pages, plots, lists of locations. They may contain
    times and paths, no other step reads them, and they do not affect the content digest."""

    def __post_init__(self) -> None:
        if not self.content:
            object.__setattr__(self, "content", self.digest)

    @property
    def pinned(self) -> dict[str, str]:
        """URI and both digests by name, for events and tags."""
        return {"uri": self.uri, "digest": self.digest, "content": self.content}

    def as_(self, kind: type[Kind]) -> Kind:
        """The same handle as another kind: the workflow engine returns the base class, and steps expect a specific kind."""
        return kind(uri=self.uri, digest=self.digest, content=self.content)


@dataclass(frozen=True, kw_only=True, slots=True)
class Corpus(Artifact):
    """Document shards per split and domain, with the mixture that training applies to them."""

    KEPT_BY: ClassVar[str] = "a kept tokenizer, token shards, conversations or report"


@dataclass(frozen=True, kw_only=True, slots=True)
class DeduplicationCurve(Artifact):
    """Fraction of documents removed by number of sources deduplicated together, as a table and a plot."""

    KEPT_BY: ClassVar[str] = "nothing: it is read by people"


@dataclass(frozen=True, kw_only=True, slots=True)
class Tokenizer(Artifact):
    """A trained byte-level BPE tokenizer with its special tokens and chat format."""

    KEPT_BY: ClassVar[str] = "kept token shards, plans or checkpoints"


@dataclass(frozen=True, kw_only=True, slots=True)
class TokenShards(Artifact):
    """Token ids per split and domain in files for memory-mapping, with an index of which document each token comes from."""

    KEPT_BY: ClassVar[str] = "a kept checkpoint, report or scaling law"


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingPlan(Artifact):
    """Model shape, tokens, batch size and learning rate for a compute budget, as a `Plan`."""

    KEPT_BY: ClassVar[str] = "a kept checkpoint or registered model"


@dataclass(frozen=True, kw_only=True, slots=True)
class SweepPoint(Artifact):
    """The result of one training run of a sweep."""

    KEPT_BY: ClassVar[str] = "kept results of its sweep"


@dataclass(frozen=True, kw_only=True, slots=True)
class SweepRuns(Artifact):
    """The results of all training runs of a sweep as a table."""

    KEPT_BY: ClassVar[str] = "a kept scaling law"


@dataclass(frozen=True, kw_only=True, slots=True)
class ScalingLaw(Artifact):
    """A law fitted to the training runs of a sweep, with its report."""

    KEPT_BY: ClassVar[str] = "a kept scaling law or plan"


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict(Artifact):
    """A training's result compared with the prediction of its law, and the law fitted again with that training included."""

    KEPT_BY: ClassVar[str] = "a kept registered model"


@dataclass(frozen=True, kw_only=True, slots=True)
class Conversations(Artifact):
    """Conversations for supervised fine-tuning, split into train and validation."""

    KEPT_BY: ClassVar[str] = "a kept checkpoint, preference pairs or report"


@dataclass(frozen=True, kw_only=True, slots=True)
class PreferencePairs(Artifact):
    """Preference pairs: prompts with a chosen and a rejected answer, split into train and validation."""

    KEPT_BY: ClassVar[str] = "a kept checkpoint or report"


@dataclass(frozen=True, kw_only=True, slots=True)
class Checkpoint(Artifact):
    """Model weights with their tokenizer, as a Hugging Face LLaMA directory."""

    KEPT_BY: ClassVar[str] = "a kept checkpoint, report or registered model"


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingState(Artifact):
    """A training checkpoint from the middle of pretraining, from which training runs with another token budget branch."""

    KEPT_BY: ClassVar[str] = "a kept checkpoint whose training continued from it"


@dataclass(frozen=True, kw_only=True, slots=True)
class EvaluationReport(Artifact):
    """The evaluation results of the models and baselines."""

    KEPT_BY: ClassVar[str] = "a kept registered model"


@dataclass(frozen=True, kw_only=True, slots=True)
class RegisteredModel(Artifact):
    """A model with its card and lineage document, ready to be registered under a name and version."""

    KEPT_BY: ClassVar[str] = "a registered version"

    RECORD_FILES: ClassVar[tuple[str, ...]] = (*Artifact.RECORD_FILES, "README.md", "lineage.json")


@dataclass(frozen=True, kw_only=True, slots=True)
class Check(Artifact):
    """The result of a check on another artifact: the `CheckReport` in its manifest, and an HTML page."""

    KEPT_BY: ClassVar[str] = "a kept registered model"

"""What passes between stages: handles of artifacts, their manifests, and the small values inside them.

An artifact is a directory with a `manifest.json`. Without a manifest it does not exist. Standard library only.
"""

import dataclasses
import hashlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Self, TypeVar

from components.errors import ArtifactError, DamagedArtifact, MissingArtifact, NewerFormat, require

FORMAT_VERSION = 1
"""Version of the manifest format. A reader accepts this version and every older one, and refuses newer ones."""

MANIFEST = "manifest.json"

Kind = TypeVar("Kind", bound="Artifact")

# Handles: small enough to pass through any workflow engine.


@dataclass(frozen=True, kw_only=True, slots=True)
class Artifact:
    """A finished directory at a URI, pinned by its evidence digest."""

    uri: str
    """Where the directory is, relative to the root of its store, so that a store can be moved without breaking evidence."""
    digest: str
    """Evidence digest: sha256 of the manifest's bytes, in hex."""

    def as_(self, kind: type[Kind]) -> Kind:
        """The same artifact under another type: workflow engines hand on the base type, steps take what they need."""
        return kind(uri=self.uri, digest=self.digest)


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


@dataclass(frozen=True, kw_only=True, slots=True)
class Check(Artifact):
    """The outcome of a check on another artifact: its manifest holds the `CheckReport`, its files the HTML page."""


# Manifests: the evidence.


@dataclass(frozen=True, kw_only=True, slots=True)
class FileRecord:
    """One file of an artifact."""

    path: str
    """Relative to the artifact's directory, with forward slashes."""
    sha256: str
    size: int
    """Bytes."""
    rows: int | None = None
    """Rows of a Parquet table, else None."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Expectation:
    """One expectation of a check and what was observed."""

    name: str
    observed: str
    passed: bool
    critical: bool = True


@dataclass(frozen=True, kw_only=True, slots=True)
class CheckReport:
    """The outcome of one check on a stage's output."""

    name: str
    expectations: tuple[Expectation, ...]
    report: str = ""
    """The HTML report, relative to the artifact's directory."""

    @property
    def passed(self) -> bool:
        """Whether every critical expectation holds."""
        return not self.failures

    @property
    def failures(self) -> tuple[Expectation, ...]:
        """The critical expectations that do not hold."""
        return tuple(e for e in self.expectations if e.critical and not e.passed)


@dataclass(frozen=True, kw_only=True, slots=True)
class Manifest:
    """What an artifact is made of, how, and from what."""

    step: str
    kind: str
    """Name of the artifact class, such as `Corpus`."""
    cache_key: str
    """Decides reuse: config, inputs and code without comments. Not evidence."""
    config: dict[str, Any]
    """The resolved configuration as JSON."""
    code_digest: str
    """sha256 over the full source text of the packages that made it."""
    environment_digest: str
    """sha256 over the locks, the Python version and the platform."""
    inputs: dict[str, Artifact] = field(default_factory=dict)
    files: tuple[FileRecord, ...] = ()
    figures: dict[str, Any] = field(default_factory=dict)
    checks: tuple[CheckReport, ...] = ()
    format_version: int = FORMAT_VERSION

    REQUIRED: ClassVar[tuple[str, ...]] = ("step", "kind", "cache_key", "config", "code_digest", "environment_digest")

    def to_bytes(self) -> bytes:
        """The manifest as canonical JSON: sorted keys, so that equal manifests have equal bytes.

        Raises:
            ArtifactError: the config or a figure is something that JSON cannot hold, such as NaN.
        """
        try:
            text = json.dumps(dataclasses.asdict(self), sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False)
            return (text + "\n").encode()
        except (TypeError, ValueError) as error:
            raise ArtifactError(f"{self.step}: config or figures are no JSON ({error}); allowed: finite numbers, text") from error

    @property
    def digest(self) -> str:
        """The evidence digest: sha256 of `to_bytes()`, in hex."""
        return hashlib.sha256(self.to_bytes()).hexdigest()

    def file(self, path: str) -> FileRecord:
        """The record of the file `path`. Raises `MissingArtifact` where there is none."""
        for record in self.files:
            if record.path == path:
                return record
        raise MissingArtifact(f"{self.step}: no file {path!r} in its manifest")

    @classmethod
    def from_bytes(cls, data: bytes, where: str) -> Self:
        """Read a manifest; `where` names it in errors.

        Raises:
            NewerFormat: the manifest was written by a later version of longrun.
            DamagedArtifact: it is not a manifest.
        """
        raw = _parse(data, where)
        version = _typed(raw, "format_version", int, where)
        if version > FORMAT_VERSION:
            raise NewerFormat(f"{where}: format version {version}; this longrun reads up to {FORMAT_VERSION}: upgrade it")
        try:
            return cls(
                **{name: _typed(raw, name, dict if name == "config" else str, where) for name in cls.REQUIRED},
                inputs={name: Artifact(**value) for name, value in raw["inputs"].items()},
                files=tuple(FileRecord(**record) for record in raw["files"]),
                figures=_typed(raw, "figures", dict, where),
                checks=tuple(_check_report(report) for report in raw["checks"]),
                format_version=version,
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise DamagedArtifact(f"{where}: not a longrun manifest ({error}); make the artifact again") from error


def _parse(data: bytes, where: str) -> dict[str, Any]:
    try:
        raw = json.loads(data)
    except ValueError as error:
        raise DamagedArtifact(f"{where}: not JSON ({error}); make the artifact again") from error
    if not isinstance(raw, dict):
        raise DamagedArtifact(f"{where}: not a longrun manifest; make the artifact again")
    return raw


def _typed(raw: dict[str, Any], name: str, kind: type, where: str) -> Any:
    if not isinstance(raw.get(name), kind):
        raise DamagedArtifact(f"{where}: not a longrun manifest ({name} is no {kind.__name__}); make the artifact again")
    return raw[name]


def _check_report(raw: dict[str, Any]) -> CheckReport:
    return CheckReport(
        name=raw["name"],
        expectations=tuple(Expectation(**expectation) for expectation in raw["expectations"]),
        report=raw["report"],
    )


def sha256_of_file(path: Path) -> str:
    """sha256 of a file's bytes, in hex."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


# Values inside artifacts that more than one stage reads.


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelShape:
    """The shape of a LLaMA decoder (paper, section 2.2, table 2)."""

    n_layer: int
    d_model: int
    n_head: int
    n_kv_head: int
    """Key and value heads; equal to `n_head` unless grouped-query attention is used."""
    d_ffn: int
    """Intermediate size of SwiGLU; the paper takes 8/3 d_model rounded up to a multiple of 256."""
    vocab_size: int
    """Rows of the embedding, padding included."""
    context: int
    """Longest sequence in tokens."""
    norm_epsilon: float = 1e-6
    """Of RMSNorm (https://huggingface.co/deepseek-ai/deepseek-llm-7b-base/blob/main/config.json); LLaMA 2 and 3 have 1e-5."""
    rope_theta: float = 10_000.0
    """Base of the rotary wavelengths (RoFormer, arXiv 2104.09864, section 3.2.2; the same file); LLaMA 3 has 500 000."""

    def __post_init__(self) -> None:
        for name in ("n_layer", "d_model", "n_head", "n_kv_head", "d_ffn", "vocab_size", "context"):
            value = getattr(self, name)
            require(isinstance(value, int) and value > 0, self, name, value, "a positive integer")
        for name in ("norm_epsilon", "rope_theta"):
            require(getattr(self, name) > 0, self, name, getattr(self, name), "a positive number")
        require(self.d_model % self.n_head == 0, self, "n_head", self.n_head, f"a divisor of d_model {self.d_model}")
        require(self.d_model // self.n_head % 2 == 0, self, "n_head", self.n_head, "an even d_model / n_head (rotary pairs)")
        require(self.n_head % self.n_kv_head == 0, self, "n_kv_head", self.n_kv_head, f"a divisor of n_head {self.n_head}")

    @property
    def d_head(self) -> int:
        """Width of one attention head."""
        return self.d_model // self.n_head


def portion_name(domain: str, language: str) -> str:
    """The name of a portion of the mixture, and of its directories: `DOMAIN`, or `DOMAIN/LANGUAGE` for one of its languages."""
    return f"{domain}/{language}" if language else domain


@dataclass(frozen=True, kw_only=True, slots=True)
class Mixture:
    """Target shares in tokens, applied by the training order.

    Its portions are the domains; a domain with language shares has a portion for each of these languages instead.
    """

    shares: dict[str, float]
    """Share of each domain in the training tokens; they sum to 1."""
    epoch_limits: dict[str, float]
    """Maximum epochs over a portion of a domain; the excess goes to its other languages in proportion, then to other domains."""
    language_shares: dict[str, dict[str, float]] = field(default_factory=dict)
    """Share of each language in a domain's training tokens; they sum to 1. A domain that is not named is one portion."""

    def __post_init__(self) -> None:
        require(bool(self.shares), self, "shares", self.shares, "at least one domain")
        self._require_shares("shares", self.shares)
        require(self.epoch_limits.keys() == self.shares.keys(), self, "epoch_limits", self.epoch_limits, "one limit per domain")
        require(all(v > 0 for v in self.epoch_limits.values()), self, "epoch_limits", self.epoch_limits, "positive limits")
        unknown = sorted(self.language_shares.keys() - self.shares.keys())
        require(not unknown, self, "language_shares", unknown, f"domains of the mixture: {', '.join(self.shares)}")
        for shares in self.language_shares.values():
            self._require_shares("language_shares", shares)

    def _require_shares(self, name: str, shares: dict[str, float]) -> None:
        require(all(share > 0 for share in shares.values()), self, name, shares, "positive shares")
        require(abs(sum(shares.values()) - 1) < 1e-6, self, name, shares, "shares that sum to 1")

    @property
    def portions(self) -> dict[str, float]:
        """The share of each portion in the training tokens, by name; those of a domain are adjacent."""
        return {
            portion_name(domain, language): share * of_domain
            for domain, share in self.shares.items()
            for language, of_domain in self.languages(domain).items()
        }

    def languages(self, domain: str) -> dict[str, float]:
        """The share of each language in a domain's training tokens, sorted; of a domain that is one portion all, as ""."""
        return dict(sorted(self.language_shares.get(domain, {"": 1.0}).items()))

    def to_json(self) -> str:
        """What `mixture.json` holds. Without language shares it has the bytes that it had before there were any."""
        values = {name: value for name, value in dataclasses.asdict(self).items() if value}
        return json.dumps(values, indent=1, sort_keys=True) + "\n"


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """What pretraining does with a compute budget. `law` holds the scaling law's values beside the chosen ones."""

    shape: ModelShape
    tokens: int
    """Training tokens."""
    batch_size: int
    """Sequences in a batch."""
    sequence_length: int
    """Tokens in a sequence."""
    steps: int
    learning_rate: float
    """Maximum learning rate."""
    init_std: float
    """Standard deviation of the initial weights (paper, section 2.3: 0.006)."""
    warmup_steps: int
    compute: float
    """FLOPs: M·D of the chosen shape and tokens, with the paper's M (section 3.1)."""
    memory_bytes: int
    """Expected peak memory of one worker."""
    law: dict[str, float]
    """The law's own values: its model scale (such as non_embedding_flops_per_token), tokens, batch_tokens, learning_rate."""
    notes: tuple[str, ...] = ()
    """What a reader must know, such as that the law extrapolates here."""
    flops_per_token: dict[str, float] = field(default_factory=dict)
    """M beside 6N without and with embeddings (non_embedding, six_n, six_n_with_embeddings), and how far each 6N is from M."""
    prediction: dict[str, float] | None = None
    """Loss of the run by a law fitted here, and its 95 % interval (loss, low, high); None: the law predicts none."""
    predicted_figure: str = "loss"
    """Which figure of the finished training the prediction is about: "loss" (nats per token) or "bits_per_byte"."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Point:
    """One training of a sweep."""

    budget: float
    """FLOPs that it belongs to; the plan's own differ by less than a batch."""
    plan: Plan
    seed: int
    """Of the initial weights and of the data order."""

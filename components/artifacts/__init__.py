"""What stages pass to each other: handles of artifacts, their manifests, and the typed values inside them.

An artifact is a directory with a `manifest.json`; a directory without one is not an artifact. Needs only the standard library,
and pyarrow when a table is read or written.
"""

from components.artifacts.baselines import BASELINES, BYTE_UNIGRAM, ZLIB_9
from components.artifacts.changes import Change, Changes
from components.artifacts.conversations import Conversation, PreferencePair
from components.artifacts.handles import (
    Artifact,
    Check,
    Checkpoint,
    Conversations,
    Corpus,
    DeduplicationCurve,
    EvaluationReport,
    Kind,
    PreferencePairs,
    RegisteredModel,
    ScalingLaw,
    SweepPoint,
    SweepRuns,
    Tokenizer,
    TokenShards,
    TrainingPlan,
    TrainingState,
    Verdict,
)
from components.artifacts.json_file import OPTIONAL, JsonFile, JsonLine, decoded, encoded
from components.artifacts.lineage import Lineage, LineageNode, RawSource
from components.artifacts.manifest import FORMAT_VERSION, MANIFEST, Figures, Manifest
from components.artifacts.mixture import Mixture, portion_name
from components.artifacts.omissions import (
    DUPLICATE,
    MAX_CASES,
    NOT_NEEDED,
    OVER_LIMIT,
    Omission,
    OmissionCase,
    Omissions,
    OmissionTally,
)
from components.artifacts.outcome import PointOutcome, TrainingOutcome, TrainingProgress
from components.artifacts.plan import Figure, Plan, Point, Prediction
from components.artifacts.records import CheckReport, Expectation, FileRecord, Making, sha256_of_file
from components.artifacts.report import BitsPerByteRow, Contamination, Findings, Origin, Repetition, Sample, TaskResult
from components.artifacts.shape import ModelShape
from components.artifacts.splits import SPLITS, TRAIN, VALIDATION, GroupSplit, GroupSplits
from components.artifacts.tables import read_rows, write_rows
from components.artifacts.token_index import DomainTokens, ShardTokens, Span, TokenIndex
from components.artifacts.verdict import PlanVerdict

__all__ = [
    "BASELINES",
    "BYTE_UNIGRAM",
    "DUPLICATE",
    "FORMAT_VERSION",
    "MANIFEST",
    "MAX_CASES",
    "NOT_NEEDED",
    "OPTIONAL",
    "OVER_LIMIT",
    "SPLITS",
    "TRAIN",
    "VALIDATION",
    "ZLIB_9",
    "Artifact",
    "BitsPerByteRow",
    "Change",
    "Changes",
    "Check",
    "CheckReport",
    "Checkpoint",
    "Contamination",
    "Conversation",
    "Conversations",
    "Corpus",
    "DeduplicationCurve",
    "DomainTokens",
    "EvaluationReport",
    "Expectation",
    "Figure",
    "Figures",
    "FileRecord",
    "Findings",
    "GroupSplit",
    "GroupSplits",
    "JsonFile",
    "JsonLine",
    "Kind",
    "Lineage",
    "LineageNode",
    "Making",
    "Manifest",
    "Mixture",
    "ModelShape",
    "Omission",
    "OmissionCase",
    "OmissionTally",
    "Omissions",
    "Origin",
    "Plan",
    "PlanVerdict",
    "Point",
    "PointOutcome",
    "Prediction",
    "PreferencePair",
    "PreferencePairs",
    "RawSource",
    "RegisteredModel",
    "Repetition",
    "Sample",
    "ScalingLaw",
    "ShardTokens",
    "Span",
    "SweepPoint",
    "SweepRuns",
    "TaskResult",
    "TokenIndex",
    "TokenShards",
    "Tokenizer",
    "TrainingOutcome",
    "TrainingPlan",
    "TrainingProgress",
    "TrainingState",
    "Verdict",
    "decoded",
    "encoded",
    "portion_name",
    "read_rows",
    "sha256_of_file",
    "write_rows",
]

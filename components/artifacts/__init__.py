"""What passes between stages: handles of artifacts, their manifests, and the values inside them.

An artifact is a directory with a `manifest.json`. Without a manifest it does not exist. Standard library only.
"""

from components.artifacts.handles import (
    Artifact,
    Check,
    Checkpoint,
    Conversations,
    Corpus,
    DeduplicationCurve,
    EvaluationReport,
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
from components.artifacts.manifest import FORMAT_VERSION, MANIFEST, Manifest, _check_report, _parse, _typed
from components.artifacts.mixture import Mixture, portion_name
from components.artifacts.plan import Plan, Point
from components.artifacts.records import CheckReport, Expectation, FileRecord, sha256_of_file
from components.artifacts.shape import ModelShape

__all__ = [
    "FORMAT_VERSION",
    "MANIFEST",
    "Artifact",
    "Check",
    "CheckReport",
    "Checkpoint",
    "Conversations",
    "Corpus",
    "DeduplicationCurve",
    "EvaluationReport",
    "Expectation",
    "FileRecord",
    "Manifest",
    "Mixture",
    "ModelShape",
    "Plan",
    "Point",
    "PreferencePairs",
    "RegisteredModel",
    "ScalingLaw",
    "SweepPoint",
    "SweepRuns",
    "TokenShards",
    "Tokenizer",
    "TrainingPlan",
    "TrainingState",
    "Verdict",
    "_check_report",
    "_parse",
    "_typed",
    "portion_name",
    "sha256_of_file",
]

"""The services a component uses, as protocols, each with an in-process implementation."""

from components.ports.launcher import SAVED, InProcessLauncher, Launcher, RecordingReporter, TrainingReporter
from components.ports.metrics import Metrics, RecordedMetrics, SilentMetrics
from components.ports.shard_engine import InProcessShardEngine, ShardEngine
from components.ports.store import ArtifactStore, LocalArtifactStore, RemoteScratch
from components.ports.worker_pool import InProcessPool, WorkerPool

__all__ = [
    "SAVED",
    "ArtifactStore",
    "InProcessLauncher",
    "InProcessPool",
    "InProcessShardEngine",
    "Launcher",
    "LocalArtifactStore",
    "Metrics",
    "RecordedMetrics",
    "RecordingReporter",
    "RemoteScratch",
    "ShardEngine",
    "SilentMetrics",
    "TrainingReporter",
    "WorkerPool",
]

"""`longrun batch RUN STEP`: the documents in the batch of one pretraining step, also while the run is still training."""

from typing import TYPE_CHECKING, Any

from components.artifacts import Mixture, Plan, TokenIndex
from components.errors import ConfigError
from components.ports import ArtifactStore
from infra.settings import Settings
from workflows.steps.journal import Journal
from workflows.steps.journals import BEGUN, journal_of

if TYPE_CHECKING:
    from components.training.incidents import SeenSequence


def batch(settings: Settings, run: str, step: int) -> "list[SeenSequence]":
    """For each sequence in the global batch of `step` (from 1): its domain, first token and document ids.

    Raises:
        ConfigError: there is no such run or step, or the run has not started pretraining.
        ArtifactError: the plan or the token shards of the run are missing or damaged.
        StoreError: the bucket cannot be reached.
    """
    from components.pretraining.documents import documents_of
    from components.pretraining.pretrain import planned_batches

    journal, store = journal_of(settings, run, ("pretraining",), BEGUN), settings.store
    config = _config(journal, store)
    plan = store.local(journal.artifact("scaling"), only=(Plan.NAME,))
    # Only the index is needed, not the tokens, which are most of the bytes.
    shards = store.local(journal.artifact("token_shards"), only=(TokenIndex.NAME, Mixture.NAME, "*/documents.parquet"))
    batches = planned_batches(config, plan=plan, token_shards=shards)
    steps = sum(portion.epochs * portion.windows for portion in batches.order.portions) / batches.batch_size
    if not 1 <= step <= round(steps):
        raise ConfigError(f"STEP is {step}; allowed for run {journal.name}: 1 to {round(steps)}")
    return list(documents_of(batches, step - 1))


def batch_lines(rows: "list[SeenSequence]") -> list[str]:
    """One line per sequence."""
    return [f"{row.domain:<12}token {row.start:<14}{' '.join(row.documents)}" for row in rows]


def _config(journal: Journal, store: ArtifactStore) -> Any:
    """The config of pretraining, read from the event that started it or from the manifest of the reused artifact."""
    from pydantic import TypeAdapter

    from components.pretraining.config import PretrainingConfig

    event = journal.last("pretraining", ("started", "cached"))
    raw = event["config"] if "config" in event else store.manifest(event["uri"]).config
    return TypeAdapter(PretrainingConfig).validate_python({name: value for name, value in raw.items() if name != "type"})

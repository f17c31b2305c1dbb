"""`longrun batch RUN STEP`: the documents that a step of a run's pretraining saw, whether or not the run has finished."""

from typing import TYPE_CHECKING, Any

from components.artifacts import Mixture, Plan, TokenIndex
from components.errors import ConfigError
from components.ports import ArtifactStore
from infra.settings import Settings
from workflows.steps.journal import Journal
from workflows.steps.journals import journal_of

if TYPE_CHECKING:
    from components.pretraining.documents import SeenSequence


def batch(settings: Settings, run: str, step: int) -> "list[SeenSequence]":
    """Domain, first token and document ids of each sequence of `step` (from 1).

    Raises:
        ConfigError: no such run or step, or a run that has not started pretraining.
        ArtifactError: its plan or token shards are missing or damaged.
        StoreError: the bucket cannot be reached.
    """
    from components.pretraining.documents import documents_of
    from components.pretraining.pretrain import planned_batches

    journal, store = journal_of(settings, run), settings.store
    config = _config(journal, store)
    plan = store.local(journal.artifact("scaling"), only=(Plan.NAME,))
    # the tokens, which are most of the bytes, are not needed
    shards = store.local(journal.artifact("token_shards"), only=(TokenIndex.NAME, Mixture.NAME, "*/documents.parquet"))
    batches = planned_batches(config, plan=plan, token_shards=shards)
    steps = sum(portion.epochs * portion.windows for portion in batches.order.portions) / batches.batch_size
    if not 1 <= step <= round(steps):
        raise ConfigError(f"step {step} of run {journal.name}; allowed: 1 to {round(steps)}")
    return list(documents_of(batches, step - 1))


def batch_lines(rows: "list[SeenSequence]") -> list[str]:
    """One line a sequence."""
    return [f"{row.domain:<12}token {row.start:<14}{' '.join(row.documents)}" for row in rows]


def _config(journal: Journal, store: ArtifactStore) -> Any:
    """The config of pretraining: from the event that started it, or from the artifact that was reused."""
    from pydantic import TypeAdapter

    from components.pretraining.config import PretrainingConfig

    event = journal.last("pretraining", ("started", "cached"))
    raw = event["config"] if "config" in event else store.manifest(event["uri"]).config
    return TypeAdapter(PretrainingConfig).validate_python({name: value for name, value in raw.items() if name != "type"})

"""Supervised fine-tuning of the base model on conversations (DeepSeek LLM, arXiv 2401.02954, section 4)."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from components.alignment.batches import encode
from components.alignment.config import SFTConfig
from components.alignment.held_out import by_kind, mean_interval
from components.alignment.objectives import AnswerLoss
from components.alignment.tuning import Labelled, Method, Scores, Spec, Tuned, launch, tune
from components.artifacts import Change, Conversation, Figures
from components.ports import Launcher, Metrics, RemoteScratch, TrainingReporter
from components.tokenizer.text_tokenizer import TextTokenizer


def fine_tune(
    config: SFTConfig,
    *,
    conversations: Path,
    checkpoint: Path,
    output: Path,
    scratch: Path,
    launcher: Launcher,
    metrics: Metrics,
    uploads: RemoteScratch | None = None,
) -> Figures:
    """Fine-tune the model in `checkpoint` on the conversations and write it as a Hugging Face directory with `metrics/`.

    Resumes from the checkpoints of an earlier attempt in `scratch` or `uploads`. `metrics/alignment.parquet` has the measure
    "answer_loss" before and after, by task: nats per token of held-out answers, including their end tokens.

    Returns:
        steps, examples, left_out (conversations of both splits that are too long), warnings about them, loss (mean over the last
        tenth of the steps), and answer_loss before and after.

    Raises:
        ResourceError: not enough memory.
        ConfigError: `max_length` exceeds the context, or a batch has fewer conversations than there are workers.
        TrainingError: no conversation fits, or a loss is not finite.
        CheckpointError: the checkpoints in `scratch` belong to another training or are damaged.
    """
    spec = Spec(config, data=conversations, checkpoint=checkpoint, output=output, scratch=scratch, uploads=uploads)
    return launch(_work, spec, launcher, metrics, headlines=("answer_loss",))


def _work(spec: Spec[SFTConfig], reporter: TrainingReporter) -> Tuned:
    """Train on one worker."""
    limit = spec.config.max_validation_conversations
    method = Method(_read, AnswerLoss, _answer_losses, max_held_out=limit, stage="sft", unit="conversations")
    return tune(spec, method, reporter)


def _read(artifact: Path, split: str, tokenizer: TextTokenizer) -> list[Labelled]:
    return [
        Labelled((encode(tokenizer, conversation.messages),), conversation.task, conversation.source, conversation.uri)
        for conversation in Conversation.read(artifact, split)
    ]


def _answer_losses(items: Sequence[Labelled], before: Scores, after: Scores) -> list[Change]:
    """Mean loss per answer token, by task."""
    tokens = np.array([labelled.item[0].learned[1:].sum() for labelled in items])

    def loss(scores: Scores, rows: npt.NDArray[np.bool_]) -> float:
        return float(-scores[rows].sum() / tokens[rows].sum())

    changes = []
    for kind, rows in by_kind([labelled.kind for labelled in items]).items():
        low, high = mean_interval(-after[rows].sum(axis=1), tokens[rows])
        means = {"before": loss(before, rows), "after": loss(after, rows)}
        changes.append(Change(measure="answer_loss", kind=kind, **means, after_low=low, after_high=high))
    return changes

"""Direct preference optimisation (arXiv 2305.18290) of the SFT model, as in DeepSeek LLM, section 4."""

from collections.abc import Sequence
from pathlib import Path

import torch

from components.alignment.batches import encode
from components.alignment.config import DPOConfig
from components.alignment.held_out import by_kind, mean_interval
from components.alignment.objectives import PreferenceLoss, preference_losses
from components.alignment.tuning import Labelled, Method, Scores, Spec, Tuned, launch, tune
from components.artifacts import Change, Figures, PreferencePair
from components.model.huggingface import load
from components.ports import Launcher, Metrics, RemoteScratch, TrainingReporter
from components.tokenizer.text_tokenizer import TextTokenizer


def optimise_preferences(
    config: DPOConfig,
    *,
    pairs: Path,
    checkpoint: Path,
    output: Path,
    scratch: Path,
    launcher: Launcher,
    metrics: Metrics,
    uploads: RemoteScratch | None = None,
) -> Figures:
    """Train the model in `checkpoint` on the pairs and write it as a Hugging Face directory with `metrics/`.

    Resumes from the checkpoints of an earlier attempt in `scratch` or `uploads`. `metrics/alignment.parquet` has these measures
    before and after, by kind of held-out pair; log-probabilities are of whole answers, in nats:
    - reward_margin: mean of β log(π/π_ref) of the chosen answer minus that of the rejected one; 0 before, because π is π_ref.
    - reward_accuracy: fraction of pairs with a positive reward margin; ties count half, so it is 0.5 before.
    - log_probability_margin: mean of log π(chosen) − log π(rejected).
    - preference_accuracy: fraction of pairs whose chosen answer is more probable than the rejected one; ties count half.
    - chosen_log_probability, rejected_log_probability: means; they show which of the two causes a change of the margin.
    - preference_loss: mean of DPO's loss; ln 2 before.

    Returns:
        steps, examples, left_out (pairs of both splits that are too long), warnings about them, loss (mean over the last tenth of
        the steps), and reward_margin, reward_accuracy and log_probability_margin before and after.

    Raises:
        ResourceError: not enough memory.
        ConfigError: `max_length` exceeds the context, or a batch has fewer pairs than there are workers.
        TrainingError: no pair fits, or a loss is not finite.
        CheckpointError: the checkpoints in `scratch` belong to another training or are damaged.
    """
    spec = Spec(config, data=pairs, checkpoint=checkpoint, output=output, scratch=scratch, uploads=uploads)
    return launch(_work, spec, launcher, metrics, headlines=("reward_margin", "reward_accuracy", "log_probability_margin"))


def _work(spec: Spec[DPOConfig], reporter: TrainingReporter) -> Tuned:
    """Train on one worker."""
    beta = spec.config.beta
    method = Method(
        read=_read,
        objective=lambda: PreferenceLoss(load(spec.checkpoint), beta),
        changes=lambda items, before, after: _preferences(items, before, after, beta),
        max_held_out=spec.config.max_validation_pairs_per_kind,
        stage="dpo",
        unit="pairs",
    )
    return tune(spec, method, reporter)


def _read(artifact: Path, split: str, tokenizer: TextTokenizer) -> list[Labelled]:
    items = []
    for pair in PreferencePair.read(artifact, split):
        prompt = {"role": "user", "content": pair.prompt}
        answers = ({"role": "assistant", "content": answer} for answer in (pair.chosen, pair.rejected))
        chosen, rejected = (encode(tokenizer, (prompt, answer)) for answer in answers)
        items.append(Labelled((chosen, rejected), pair.kind, pair.source, pair.uri))
    return items


def _preferences(items: Sequence[Labelled], before: Scores, after: Scores, beta: float) -> list[Change]:
    """All measures, for each kind of pair."""
    changes = []
    for kind, rows in by_kind([item.kind for item in items]).items():
        old, new = (measures_of(scores[rows], before[rows], beta) for scores in (before, after))
        for measure, values in new.items():
            low, high = mean_interval(values)
            means = {"before": float(old[measure].mean()), "after": float(values.mean())}
            changes.append(Change(measure=measure, kind=kind, **means, after_low=low, after_high=high))
    return changes


def measures_of(scores: Scores, reference: Scores, beta: float) -> dict[str, Scores]:
    """The measures of each pair, float64 [pairs]. `scores` (of the model) and `reference` (before training) are [pairs, 2], the
    columns chosen and rejected."""
    margins = scores[:, 0] - scores[:, 1]
    rewards = beta * (margins - (reference[:, 0] - reference[:, 1]))
    return {
        "reward_margin": rewards,
        "reward_accuracy": (rewards > 0) + 0.5 * (rewards == 0),
        "log_probability_margin": margins,
        "preference_accuracy": (margins > 0) + 0.5 * (margins == 0),
        "chosen_log_probability": scores[:, 0],
        "rejected_log_probability": scores[:, 1],
        "preference_loss": preference_losses(torch.from_numpy(rewards)).numpy(),
    }

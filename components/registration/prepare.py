"""Writes the directory of a registered model: weights, tokenizer, MLflow's description, model card, lineage."""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from components.artifacts import CheckReport, Figures, Findings, Lineage, Plan, PlanVerdict
from components.errors import MissingArtifact, RegistrationRefused
from components.model import huggingface
from components.model.configuration import CONFIG
from components.registration.card import Facts, model_card
from components.registration.config import CARD, RegistrationConfig
from components.registration.mlmodel import write_mlmodel
from components.registration.rules import refuse_unless_promotable
from components.tokenizer.special_tokens import TOKENIZER_FILES

_FILES = (huggingface.WEIGHTS, CONFIG, huggingface.GENERATION_CONFIG, *TOKENIZER_FILES)


def prepare(
    config: RegistrationConfig,
    *,
    checkpoint: Path,
    report: Path,
    lineage: Lineage,
    checks: Sequence[CheckReport],
    plan: Path,
    verdicts: Mapping[str, Path] | None = None,
    output: Path,
) -> Figures:
    """Apply the promotion rule, then write the Hugging Face directory with `MLmodel`, `README.md` and `lineage.json`.

    Args:
        config: name, alias, and contents of the card.
        checkpoint: directory of the model.
        report: directory of the evaluation report that includes the model.
        lineage: lineage of the checkpoint.
        checks: all checks of the run.
        plan: directory of the base model's plan.
        verdicts: directories of the comparisons of its result with the plan's prediction, if there are any.
        output: an empty directory.

    Returns:
        name, parameters, bits_per_byte (aggregate), checks (their number).

    Raises:
        RegistrationRefused: the model does not meet the promotion rule, or a weight is not finite.
        ArtifactError: the checkpoint, the report, the plan or a verdict is incomplete or damaged.
    """
    findings, judged = Findings.read(report), tuple(map(PlanVerdict.read, (verdicts or {}).values()))
    refuse_unless_promotable(config.model, findings, checks, judged if config.verdict == "block" else ())
    for name in _FILES:
        _copy(checkpoint / name, output / name)
    parameters = _parameters_of(output)
    write_mlmodel(output)
    facts = Facts(
        findings=findings,
        plan=Plan.read(plan),
        lineage=lineage.without_uris(),
        checks=tuple(checks),
        verdicts=judged,
        parameters=parameters,
    )
    (output / CARD).write_text(model_card(config, facts), encoding="utf-8")
    facts.lineage.write(output)
    return {
        "name": config.name,
        "parameters": parameters,
        "bits_per_byte": round(findings.aggregate[config.model], 6),
        "checks": len(checks),
    }


def _parameters_of(directory: Path) -> int:
    """The number of weights of the model in `directory`. Raises `RegistrationRefused` if a weight is not finite."""
    model = huggingface.load(directory)
    for name, weight in model.named_parameters():
        if not torch.isfinite(weight).all():
            raise RegistrationRefused(f"weight {name} of the checkpoint is not finite; train the model again")
    return sum(weight.numel() for weight in model.parameters())


def _copy(source: Path, target: Path) -> None:
    if not source.is_file():
        raise MissingArtifact(f"{source}: missing; create the checkpoint again")
    shutil.copyfile(source, target)

"""From a checkpoint to the directory that is registered: weights, tokenizer, model card, lineage."""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from components.artifacts import CheckReport, Figures, Findings, Lineage, Plan, PlanVerdict
from components.errors import MissingArtifact, RegistrationRefused
from components.model import huggingface
from components.model.configuration import CONFIG
from components.registration.card import Facts, model_card
from components.registration.config import RegistrationConfig
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
    """Apply the promotion rule, then write the Hugging Face directory with `README.md` and `lineage.json` into `output`.

    Args:
        config: name, alias, and what the card says.
        checkpoint: directory of the model.
        report: directory of the evaluation report that measured it.
        lineage: the checkpoint and everything that it was made from.
        checks: every check of the run.
        plan: the plan of the base model.
        verdicts: its outcome beside what the plan had predicted, where that predicted anything.
        output: empty directory.

    Returns:
        name, parameters, bits_per_byte (aggregate), checks (how many passed).

    Raises:
        RegistrationRefused: the promotion rule says no, or a weight is not finite.
        ArtifactError: the checkpoint, the report, the plan or a verdict is incomplete or damaged.
    """
    findings, judged = Findings.read(report), tuple(map(PlanVerdict.read, (verdicts or {}).values()))
    refuse_unless_promotable(config.model, findings, checks, judged if config.verdict == "block" else ())
    for name in _FILES:
        _copy(checkpoint / name, output / name)
    parameters = _parameters_of(output)
    facts = Facts(
        findings=findings,
        plan=Plan.read(plan),
        lineage=lineage.without_uris(),
        checks=tuple(checks),
        verdicts=judged,
        parameters=parameters,
    )
    (output / "README.md").write_text(model_card(config, facts), encoding="utf-8")
    facts.lineage.write(output)
    return {
        "name": config.name,
        "parameters": parameters,
        "bits_per_byte": round(findings.aggregate[config.model], 6),
        "checks": len(checks),
    }


def _parameters_of(directory: Path) -> int:
    """Number of weights, after loading them from `directory` as a user would."""
    model = huggingface.load(directory)
    for name, weight in model.named_parameters():
        if not torch.isfinite(weight).all():
            raise RegistrationRefused(f"weight {name} of the checkpoint is not finite; train again")
    return sum(weight.numel() for weight in model.parameters())


def _copy(source: Path, target: Path) -> None:
    if not source.is_file():
        raise MissingArtifact(f"{source}: missing; make the checkpoint again")
    shutil.copyfile(source, target)

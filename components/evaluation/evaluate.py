"""Evaluates the models of a recipe: bits per byte, tasks, repetition and samples, compared with two baselines."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from components.artifacts import (
    BYTE_UNIGRAM,
    VALIDATION,
    ZLIB_9,
    BitsPerByteRow,
    Change,
    Changes,
    Conversation,
    Findings,
    Mixture,
    Omission,
    Omissions,
    OmissionTally,
)
from components.evaluation import benchmarks, held_out, items, own_tasks, report
from components.evaluation.baselines import byte_unigram, zlib_9
from components.evaluation.config import EvaluationConfig
from components.evaluation.findings import DEFINITIONS, headlines
from components.evaluation.fitting import fitting
from components.evaluation.measure import Material, Measured, measure_once
from components.evaluation.origins import origins
from components.files import JSON
from components.ports import Metrics
from components.tokenizer.chat import ASSISTANT, USER
from components.tokenizer.token_shards import TokenShardReader

_STAGES = ("base", "sft", "dpo")
"""Order in which models are measured and shown."""


@dataclass(frozen=True, kw_only=True, slots=True)
class EvaluationInputs:
    """Directories of the artifacts that evaluation reads."""

    corpus: Path
    token_shards: Path
    conversations: Path
    pairs: Path
    checkpoints: Mapping[str, Path]
    """The models by name, such as "base", "sft" and "dpo"."""


def evaluate(
    config: EvaluationConfig, inputs: EvaluationInputs, *, output: Path, scratch: Path, metrics: Metrics
) -> dict[str, JSON]:
    """Measure every checkpoint on the same held-out text and write the report.

    Bits per byte, by domain, are defined in `components.generation.bits_per_byte`: the sum of -log2 p over all tokens,
    including end-of-document tokens, divided by the UTF-8 bytes of the text, for documents of at least 1 kB. Documents are
    taken in order while they fit into `config.max_bytes_per_domain`; models and both baselines
    (`components.evaluation.baselines`) see the same documents. The aggregate is a weighted mean over domains. The tasks are
    those of `components.evaluation.items`, the public benchmarks of `components.evaluation.benchmarks` and the recipe's own;
    lm-eval runs them.

    An item that does not fit its `BenchmarkTask`, or the context of one of the models, is left out for all models, recorded and
    shown in the report.

    Results of models that an interrupted evaluation had finished are read from `scratch`. Returns aggregates, task scores and
    repetition ratios by model, and warnings about what was left out.

    Raises:
        ArtifactError: an input is incomplete, a domain has no held-out document of at least 1 kB, or curation did not search
            for a benchmark.
        ExtensionError: one of the recipe's own tasks fails, or has no valid items.
    """
    mixture = Mixture.read(inputs.corpus)
    shares = dict(sorted((config.domain_shares or mixture.shares).items()))
    tally = OmissionTally()
    material = _gather(config, inputs, sorted({*shares, *mixture.shares}), tally)
    measured = _measure_models(config, inputs.checkpoints, material, scratch, metrics)
    findings = Findings(
        domain_shares=shares,
        bits_per_byte=(*(row for model in measured for row in model.bits_per_byte), *_baselines(material.documents)),
        tasks=tuple(row for model in measured for row in model.tasks),
        contamination=benchmarks.contamination(inputs.corpus),
        alignment=tuple(row for name in _in_order(inputs.checkpoints) for row in _alignment(name, inputs.checkpoints[name])),
        repetition=tuple(row for model in measured for row in model.repetition),
        samples=tuple(row for model in measured for row in model.samples),
        origins=origins(inputs.corpus),
        definitions={**DEFINITIONS, **material.tasks.meanings},
        omissions=(*_unread(config, inputs.corpus), *tally.omissions().rows),
    )
    report.write(findings, output)
    return headlines(findings) | Omissions(rows=findings.omissions).figures


def _unread(config: EvaluationConfig, corpus: Path) -> list[Omission]:
    """The items of the evaluated benchmarks that curation could not read."""
    names = {task.name for task in config.benchmarks}
    return [row for row in Omissions.read_if_any(corpus).rows if row.unit == "benchmark items" and row.source in names]


def _in_order(checkpoints: Mapping[str, Path]) -> list[str]:
    """The names of the models: those in `_STAGES` first, then others, sorted."""
    return sorted(checkpoints, key=lambda name: (_STAGES.index(name) if name in _STAGES else len(_STAGES), name))


def _gather(config: EvaluationConfig, inputs: EvaluationInputs, domains: Sequence[str], tally: OmissionTally) -> Material:
    """The documents of these domains, the tasks and the prompts."""
    conversations = Conversation.read(inputs.conversations, VALIDATION)
    prompts = [conversation.messages[0]["content"] for conversation in conversations]
    local = items.build(config, corpus=inputs.corpus, conversations=inputs.conversations, pairs=inputs.pairs, chat=_as_prompt)
    tasks = local.joined(benchmarks.build(config, inputs.corpus, tally))
    tasks = tasks.joined(own_tasks.build(config.tasks, config.max_items_per_task, tally))
    return Material(
        documents={domain: held_out.fitting_documents(inputs.corpus, domain, config.max_bytes_per_domain) for domain in domains},
        reader=TokenShardReader.open(inputs.token_shards),
        tasks=fitting(tasks, inputs.checkpoints.values(), tally),
        shown=list(config.sample_prompts) or prompts[: config.samples],
        repetition=prompts[: config.repetition_prompts],
    )


def _measure_models(
    config: EvaluationConfig, checkpoints: Mapping[str, Path], material: Material, scratch: Path, metrics: Metrics
) -> list[Measured]:
    """Measure one model after the other and log its results."""
    scratch.mkdir(parents=True, exist_ok=True)
    measured: list[Measured] = []
    for name in _in_order(checkpoints):
        metrics.progress(len(measured), len(checkpoints), "models")
        measured.append(measure_once(config, name, checkpoints[name], material, scratch))
        metrics.log(0, _logged(measured[-1]))
    metrics.progress(len(measured), len(checkpoints), "models")
    return measured


def _as_prompt(message: str) -> str:
    """The text of a conversation up to its first answer. BOS, which has no text form, is added when the text is encoded."""
    return f"{USER}{message}{ASSISTANT}"


def _baselines(documents: Mapping[str, Sequence[held_out.Document]]) -> Iterator[BitsPerByteRow]:
    for model, measure in ((BYTE_UNIGRAM, byte_unigram), (ZLIB_9, zlib_9)):
        for domain, chosen in documents.items():
            texts = [document.text.encode() for document in chosen]
            value, size = measure(texts), sum(map(len, texts))
            yield BitsPerByteRow(model=model, domain=domain, bits_per_byte=value, documents=len(texts), bytes=size)


def _alignment(name: str, checkpoint: Path) -> tuple[Change, ...]:
    """Metrics before and after fine-tuning; empty for the base model."""
    return () if name == "base" else Changes.read(checkpoint).rows


def _logged(measured: Measured) -> dict[str, float]:
    bits = {f"bits_per_byte/{row.model}/{row.domain}": row.bits_per_byte for row in measured.bits_per_byte}
    return bits | {f"{row.task}/{row.metric}/{row.model}": row.value for row in measured.tasks}

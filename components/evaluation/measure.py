"""Measures one model: tasks, bits per byte, and greedy answers to held-out prompts."""

import dataclasses
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from components.artifacts import VALIDATION, BitsPerByteRow, JsonFile, Repetition, Sample, TaskResult
from components.evaluation import harness
from components.evaluation.config import EvaluationConfig
from components.evaluation.held_out import ChosenDocuments, Document
from components.evaluation.items import Tasks
from components.evaluation.language_model import HarnessModel
from components.evaluation.repetition import distinct_first_lines, repeats_endlessly
from components.generation.bits_per_byte import bits_per_byte
from components.generation.sampling import generate
from components.model import huggingface
from components.model.decoder import Decoder
from components.tokenizer.chat import encode_prompt
from components.tokenizer.text_tokenizer import TextTokenizer
from components.tokenizer.token_shards import TokenShardReader
from components.training.device import training_device


@dataclass(frozen=True, slots=True)
class Material:
    """The data on which every model is measured."""

    documents: dict[str, list[Document]]
    """Held-out documents by domain."""
    reader: TokenShardReader
    tasks: Tasks
    shown: list[str]
    """User messages for which the report shows answers."""
    repetition: list[str]
    """User messages on which the repetition ratio is measured."""


@dataclass(frozen=True, slots=True)
class Measured(JsonFile):
    """All results of one model."""

    NAME: ClassVar[str] = "measured.json"
    STEP: ClassVar[str] = "the step evaluation"

    bits_per_byte: tuple[BitsPerByteRow, ...]
    tasks: tuple[TaskResult, ...]
    repetition: tuple[Repetition, ...]
    samples: tuple[Sample, ...]


def measure_once(config: EvaluationConfig, name: str, checkpoint: Path, material: Material, scratch: Path) -> Measured:
    """Measure a model and store the results below `scratch`, or read the results of an interrupted evaluation from there."""
    kept = scratch / name
    if (kept / Measured.NAME).is_file():
        return Measured.read(kept)
    measured = _measure(config, name, checkpoint, material)
    kept.mkdir(parents=True, exist_ok=True)
    measured.write(kept)
    return measured


def _measure(config: EvaluationConfig, name: str, checkpoint: Path, material: Material) -> Measured:
    model = huggingface.load(checkpoint, device=training_device()).eval()
    tokenizer = TextTokenizer.load(checkpoint)
    scores = harness.run(HarnessModel(model, tokenizer, config.batch_tokens), material.tasks)
    messages = list(dict.fromkeys([*material.shown, *material.repetition]))
    answers = _answers(config, model, tokenizer, messages)
    return Measured(
        bits_per_byte=tuple(_bits_per_byte(config, name, model, material)),
        tasks=tuple(TaskResult(model=name, **dataclasses.asdict(score)) for score in scores),
        repetition=_repetition(name, tokenizer, [answers[message] for message in material.repetition]),
        samples=tuple(Sample(prompt=m, model=name, answer=tokenizer.decode(answers[m][0])) for m in material.shown),
    )


def _bits_per_byte(config: EvaluationConfig, name: str, model: Decoder, material: Material) -> Iterator[BitsPerByteRow]:
    for domain, documents in material.documents.items():
        reader = ChosenDocuments(material.reader, frozenset(document.id for document in documents))
        score = bits_per_byte(model, reader, VALIDATION, domain, batch_tokens=config.batch_tokens)
        yield BitsPerByteRow(model=name, domain=domain, bits_per_byte=score.value, documents=score.documents, bytes=score.bytes)


def _repetition(name: str, tokenizer: TextTokenizer, answers: Sequence[tuple[list[int], int]]) -> tuple[Repetition, ...]:
    """The repetition metrics of one model; empty without answers. `answers` has token ids and the maximum length of each."""
    if not answers:
        return ()
    stuck = sum(repeats_endlessly(answer, limit) for answer, limit in answers)
    return (
        Repetition(
            model=name,
            repetition_ratio=stuck / len(answers),
            distinct_answers=distinct_first_lines([tokenizer.decode(answer) for answer, _ in answers]),
            prompts=len(answers),
        ),
    )


def _answers(
    config: EvaluationConfig, model: Decoder, tokenizer: TextTokenizer, messages: Sequence[str]
) -> dict[str, tuple[list[int], int]]:
    """The greedy answer (token ids) to each user message, and the maximum number of tokens of an answer.

    The paper measures repetition at temperature 0 (section 5.4). If a prompt is too long, tokens after BOS are removed from its
    start.
    """
    limit = min(config.max_new_tokens, model.shape.context // 2)
    prompts = [encode_prompt(tokenizer, [{"role": "user", "content": message}]) for message in messages]
    fitting = [prompt[:1] + prompt[1:][-(model.shape.context - limit - 1) :] for prompt in prompts]
    answers = generate(model, fitting, max_new_tokens=limit, stop_ids=(tokenizer.eos_id,))
    return {message: (answer, limit) for message, answer in zip(messages, answers, strict=True)}

"""The evaluation of a recipe's models: bits per byte, tasks, repetition and samples, beside two baselines."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from components.errors import MissingArtifact
from components.evaluation import benchmarks, held_out, items, report
from components.evaluation.baselines import byte_unigram, zlib_9
from components.evaluation.config import EvaluationConfig
from components.evaluation.findings import Alignment, BitsPerByte, Findings
from components.evaluation.measure import Material, Measured, measure_once
from components.evaluation.origins import origins
from components.names import BYTE_UNIGRAM, ZLIB_9
from components.ports import Metrics
from components.tokenizer.chat import ASSISTANT, USER
from components.tokenizer.token_shards import TokenShardReader

_STAGES = ("base", "sft", "dpo")
"""The order in which models are measured and shown."""


def evaluate(
    config: EvaluationConfig,
    *,
    corpus: Path,
    token_shards: Path,
    conversations: Path,
    pairs: Path,
    checkpoints: dict[str, Path],
    output: Path,
    scratch: Path,
    metrics: Metrics,
) -> dict[str, Any]:
    """Measure every checkpoint on the same held-out text and write the report.

    Bits per byte, by domain: the sum of -log2 p over every token of every document, its end-of-document token included, over
    the UTF-8 bytes of the text; each byte is scored once, and only documents of at least 1 kB count. It is measured by
    `components.generation.bits_per_byte`, which holds the definition. The documents are taken by id while they fit into
    `config.max_bytes_per_domain`; models and both baselines (`components.evaluation.baselines`) see exactly these. The aggregate
    weighs domains by fixed shares. Tasks are those of `components.evaluation.items` and the public benchmarks of
    `components.evaluation.benchmarks`, through lm-eval.

    Models that a killed evaluation had finished are read back from `scratch`. Returns aggregates, task scores and repetition
    ratios by model.

    Raises:
        ArtifactError: an input is incomplete, a domain has no held-out document that counts, or curation did not search for a
            benchmark.
        SourceError: an item of a benchmark cannot be asked.
    """
    shares = dict(sorted(config.domain_shares.items())) or held_out.mixture_shares(corpus)
    material = _gather(config, shares, corpus, token_shards, conversations, pairs)
    scratch.mkdir(parents=True, exist_ok=True)
    measured = []
    names = sorted(checkpoints, key=lambda name: (_STAGES.index(name) if name in _STAGES else len(_STAGES), name))
    for done, name in enumerate(names):
        metrics.progress(done, len(names), "models")
        measured.append(measure_once(config, name, checkpoints[name], material, scratch / f"{name}.json"))
        metrics.log(0, _logged(measured[-1]))
    metrics.progress(len(names), len(names), "models")
    found = Findings(
        domain_shares=shares,
        bits_per_byte=(*(row for one in measured for row in one.bits_per_byte), *_baselines(material.documents)),
        tasks=tuple(row for one in measured for row in one.tasks),
        contamination=benchmarks.contamination(corpus),
        alignment=tuple(row for name in names if name != "base" for row in _alignment(checkpoints[name])),
        repetition=tuple(row for one in measured for row in one.repetition),
        samples=tuple(row for one in measured for row in one.samples),
        origins=origins(corpus),
    )
    report.write(found, output)
    return found.headlines()


def _gather(
    config: EvaluationConfig, shares: Mapping[str, float], corpus: Path, token_shards: Path, conversations: Path, pairs: Path
) -> Material:
    """Documents of every domain that the mixture or the shares name."""
    domains = sorted({*shares, *held_out.mixture_shares(corpus)})
    asked = [record["messages"][0]["content"] for record in held_out.records(conversations / "validation.jsonl")]
    local = items.build(config, corpus=corpus, conversations=conversations, pairs=pairs, chat=_as_prompt)
    return Material(
        documents={domain: held_out.fitting_documents(corpus, domain, config.max_bytes_per_domain) for domain in domains},
        reader=TokenShardReader.open(token_shards),
        tasks=local.joined(benchmarks.build(config, corpus)),
        shown=list(config.sample_prompts) or asked[: config.samples],
        repetition=asked[: config.repetition_prompts],
    )


def _as_prompt(message: str) -> str:
    """The text of a conversation that waits for its first answer; BOS, which no text can say, comes before it."""
    return f"{USER}{message}{ASSISTANT}"


def _baselines(documents: Mapping[str, Sequence[held_out.Document]]) -> Iterator[BitsPerByte]:
    for model, measure in ((BYTE_UNIGRAM, byte_unigram), (ZLIB_9, zlib_9)):
        for domain, chosen in documents.items():
            texts = [document.text.encode() for document in chosen]
            value, size = measure(texts), sum(map(len, texts))
            yield BitsPerByte(model=model, domain=domain, bits_per_byte=value, documents=len(texts), bytes=size)


def _alignment(checkpoint: Path) -> list[Alignment]:
    path = checkpoint / "metrics/alignment.parquet"
    if not path.is_file():
        raise MissingArtifact(f"{path}: missing; fine-tuning writes it: run that step again")
    columns = [field.name for field in dataclasses.fields(Alignment)]
    return [Alignment(**row) for row in pq.read_table(path, columns=columns).to_pylist()]


def _logged(measured: Measured) -> dict[str, float]:
    bits = {f"bits_per_byte/{row.model}/{row.domain}": row.bits_per_byte for row in measured.bits_per_byte}
    return bits | {f"{row.task}/{row.metric}/{row.model}": row.value for row in measured.tasks}

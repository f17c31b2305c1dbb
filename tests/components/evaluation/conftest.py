"""A small world: documents of two domains, conversations, preference pairs, and three untrained models."""

import hashlib
import json
import random
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from components import artifacts as f
from components.artifacts import ModelShape
from components.evaluation.findings import DEFINITIONS
from components.model import huggingface
from components.model.decoder import Decoder, initialise
from components.ports import InProcessShardEngine, SilentMetrics
from components.tokenizer.config import TokenizerConfig, TokenShardsConfig
from components.tokenizer.token_shards import encode_corpus
from components.tokenizer.training import train_tokenizer

WORDS = ["alpha", "beta", "gamma", "delta", "value", "total", "index", "result", "matrix", "buffer", "stream", "config"]


@dataclass(frozen=True)
class World:
    """Directories laid out as the artifacts are."""

    corpus: Path
    conversations: Path
    pairs: Path


def code(rng: random.Random) -> str:
    """A class whose constructor repeats its parameters."""
    names = rng.sample(WORDS, 6)
    lines = [f"class {rng.choice(WORDS).title()}{rng.randrange(1000)}:", f"    def __init__(self, {', '.join(names)}):"]
    lines += [f"        self.{name} = {name}" for name in names]
    for name in rng.choices(names, k=24):
        lines += [f"    def get_{name}_{rng.randrange(1000)}(self):", f"        return self.{name}"]
    return "\n".join(lines) + "\n"


def prose(rng: random.Random) -> str:
    """Sentences, the lines of which end in words said before."""
    return "".join(f"The {' '.join(rng.choices(WORDS, k=9))}.\n" for _ in range(30))


def write_documents(corpus: Path, domain: str, texts: list[str], split: str = "validation") -> None:
    """Documents of one domain; every second one shares its group with the one before."""
    rows = [
        {
            "id": hashlib.sha256(f"{domain}{split}{number}".encode()).hexdigest(),
            "text": text,
            "source": "test:",
            "uri": f"test:{domain}/{number}",
            "group": f"group-{number // 2}",
            "domain": domain,
            "language": "en",
            "licence": "MIT" if number % 3 else "BSD-3-Clause",
            "sha256": hashlib.sha256(text.encode()).hexdigest(),
            "bytes": len(text.encode()),
        }
        for number, text in enumerate(texts)
    ]
    directory = corpus / "documents" / split / domain
    directory.mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist(sorted(rows, key=lambda row: row["id"])), directory / "part-00000.parquet")


def write_benchmarks(corpus: Path) -> None:
    """Six items of a quiz, of which a document held one and one is too short to be searched for."""
    rows = [
        {
            "benchmark": "quiz",
            "file": "test.jsonl",
            "item": number,
            "grams": 0 if number == 5 else 7,
            "record": json.dumps(
                {"question": f"Which word is number {number}?", "options": WORDS[number : number + 2], "gold": 0}
            ),
        }
        for number in range(6)
    ]
    pq.write_table(pa.Table.from_pylist(rows), corpus / "benchmarks.parquet")
    hits = [{"id": "a" * 64, "benchmark": "quiz", "file": "test.jsonl", "item": 2}]
    pq.write_table(pa.Table.from_pylist(hits), corpus / "contamination.parquet")


@pytest.fixture(scope="session")
def world(tmp_path_factory) -> World:
    """Twelve documents a domain, ten conversations, six pairs."""
    root = tmp_path_factory.mktemp("world")
    rng = random.Random(7)
    corpus, conversations, pairs = root / "corpus", root / "conversations", root / "pairs"
    write_documents(corpus, "code", [code(rng) for _ in range(12)])
    write_documents(corpus, "prose", [prose(rng) for _ in range(12)])
    write_documents(corpus, "code", [code(rng) for _ in range(4)], split="train")
    write_documents(corpus, "prose", [prose(rng) for _ in range(4)], split="train")
    f.Mixture(shares={"code": 0.75, "prose": 0.25}, epoch_limits={"code": 4, "prose": 4}).write(corpus)
    write_benchmarks(corpus)
    ask = "What does the function {} do?"
    answers = [f"Return the {rng.choice(WORDS)} of the {rng.choice(WORDS)} number {number}." for number in range(10)]
    conversations.mkdir()
    lines = [
        f.Conversation(
            id=f"{number:02d}",
            messages=[{"role": "user", "content": ask.format(WORDS[number])}, {"role": "assistant", "content": answer}],
            source="test:",
            uri=f"test:{number}",
            group=f"group-{number}",
            licence="MIT",
            task="describe",
        )
        for number, answer in enumerate(answers)
    ]
    f.Conversation.write(lines, conversations, "validation")
    pairs.mkdir()
    options = [
        f.PreferencePair(
            id=f"{number:02d}",
            kind="right-vs-other",
            prompt=ask.format(WORDS[number]),
            chosen=answers[number],
            rejected=answers[number + 1],
            source="test:",
            group=f"group-{number}",
        )
        for number in range(6)
    ]
    f.PreferencePair.write(options, pairs, "validation")
    return World(corpus=corpus, conversations=conversations, pairs=pairs)


@dataclass(frozen=True)
class Models:
    """A tokenizer, token shards, and checkpoints by name."""

    tokenizer: Path
    token_shards: Path
    checkpoints: dict[str, Path]


@pytest.fixture(scope="session")
def models(world, tmp_path_factory) -> Models:
    """Untrained models of two layers, each from another seed, with alignment tables as fine-tuning leaves them."""
    root = tmp_path_factory.mktemp("models")
    tokenizer, shards = root / "tokenizer", root / "token_shards"
    for directory in (tokenizer, shards):
        directory.mkdir()
    vocabulary = TokenizerConfig(regular_tokens=300, special_tokens=3, vocab_multiple=8, sample_bytes=20_000)
    train_tokenizer(vocabulary, corpus=world.corpus, output=tokenizer, metrics=SilentMetrics())
    encode_corpus(
        TokenShardsConfig(),
        corpus=world.corpus,
        tokenizer=tokenizer,
        output=shards,
        engine=InProcessShardEngine(),
        metrics=SilentMetrics(),
    )
    shape = ModelShape(n_layer=2, d_model=32, n_head=2, n_kv_head=2, d_ffn=64, vocab_size=304, context=64)
    for seed, name in enumerate(("base", "sft", "dpo")):
        model = Decoder(shape)
        initialise(model, std=0.02, seed=seed)
        huggingface.save(model, tokenizer, root / name)
    for name in ("sft", "dpo"):
        f.Changes(
            rows=(f.Change(measure=f"{name} loss", kind="answers", before=2.5, after=2.25, after_low=2.0, after_high=2.5),)
        ).write(root / name)
    return Models(tokenizer=tokenizer, token_shards=shards, checkpoints={name: root / name for name in ("dpo", "base", "sft")})


BITS = {"base": (1.9, 2.4), "sft": (2.0, 2.5), "dpo": (2.1, 2.45), "byte-unigram": (4.6, 4.5), "zlib-9": (1.97, 3.9)}
NASTY = 'a <script>alert("x")</script>\n```\n| {{ braces }} & 中文'


def findings() -> f.Findings:
    """What an evaluation of three models on two domains may find."""
    return f.Findings(
        domain_shares={"code": 0.75, "prose": 0.25},
        bits_per_byte=tuple(
            f.BitsPerByteRow(model=model, domain=domain, bits_per_byte=value, documents=12, bytes=34567)
            for model, values in BITS.items()
            for domain, value in zip(("code", "prose"), values, strict=True)
        ),
        tasks=tuple(
            f.TaskResult(model=model, task=task, metric=metric, value=0.4, items=20, chance=0.25)
            for model in ("base", "sft", "dpo")
            for task, metric in (("answer-choice", "acc"), ("answer-choice", "acc_norm"), ("final-word", "exact_match"))
        )
        + tuple(
            f.TaskResult(
                model=model,
                task="quiz",
                metric="acc_norm",
                value=0.625,
                items=20,
                chance=0.5,
                clean_value=0.5 if model == "dpo" else None,
                clean_items=16 if model == "dpo" else 0,
            )
            for model in ("base", "dpo")
        ),
        contamination=(f.Contamination(benchmark="quiz", items=1200, contaminated=30, not_searched=4, documents=50),),
        alignment=(f.Change(measure="loss", kind="answers", before=3.5, after=2.5, after_low=2.25, after_high=2.75),),
        repetition=tuple(
            f.Repetition(model=model, repetition_ratio=0.125, distinct_answers=0.75, prompts=8)
            for model in ("base", "sft", "dpo")
        ),
        samples=tuple(f.Sample(prompt=NASTY, model=model, answer=NASTY if model == "dpo" else "") for model in ("base", "dpo")),
        origins=(f.Origin(source="test:", domain="code", language="code", licence="MIT", documents=3, bytes=400),),
        definitions=DEFINITIONS,
    )

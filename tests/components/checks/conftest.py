"""Artifacts that pass every check, and functions that damage them."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from components.artifacts import DomainTokens, Mixture, ModelShape, Omission, Omissions, Plan, ShardTokens, TokenIndex
from components.tokenizer import special_tokens
from tests.components.artifacts.samples import FINDINGS


def write(artifact: Path, name: str, rows: Any) -> None:
    """Write a metrics table."""
    (artifact / "metrics").mkdir(parents=True, exist_ok=True)
    pd.DataFrame(rows).to_parquet(artifact / "metrics" / f"{name}.parquet")


def omit(artifact: Path, source: str, unit: str) -> None:
    """Record that one in five items of a source was left out."""
    row = Omission(source=source, unit=unit, reason="missing-field", count=20, total=100)
    Omissions(rows=(row,)).write(artifact)


def mostly_omitted(record: Any) -> Any:
    """Changes that record to three in five items."""
    return {"rows": [{**row, "count": 60} for row in record["rows"]]}


@pytest.fixture
def output(tmp_path: Path) -> Path:
    """The directory that a check writes its page to."""
    (tmp_path / "output").mkdir()
    return tmp_path / "output"


@pytest.fixture
def spoil() -> Callable[[Path, str, Callable[[Any], Any]], None]:
    """Rewrites one file of an artifact: a metrics table by name, as a data frame, or a JSON file, as its value."""

    def rewrite(artifact: Path, name: str, change: Callable[[Any], Any]) -> None:
        if name.endswith(".json"):
            (artifact / name).write_text(json.dumps(change(json.loads((artifact / name).read_bytes()))), encoding="utf-8")
        else:
            write(artifact, name, change(pd.read_parquet(artifact / "metrics" / f"{name}.parquet")))

    return rewrite


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """A corpus of two sources with a domain each; two documents in ten are held out and one is refused."""
    artifact = tmp_path / "corpus"
    documents = [_document(number) for number in range(100)]
    write(artifact, "documents", documents)
    write(artifact, "sources", [_source(name, documents) for name in ("folder:a", "folder:b")])
    cluster = {"source": "folder:a", "domain": "code", "kept": "0" * 64, "documents": 2, "share": 0.04}
    write(artifact, "clusters", [cluster])
    write(artifact, "passages", [{"source": "folder:b", "domain": "prose", "documents": 2}])
    graded = {"documents": 50, "refused_documents": 5, "bytes": 50_000, "refused_bytes": 4_000, "auc": 0.9}
    write(artifact, "quality", [{"language": "en", "domain": "prose", **graded}])
    pair = {"reason": "near-duplicate", "removed": "1" * 64, "kept": "0" * 64, "recorded": 0.9, "counted": 0.9, "similar": True}
    write(artifact, "audit", [pair])
    precision = {"removals": 1, "sampled": 1, "similar": 1, "precision": 1.0, "low": 1.0, "high": 1.0}
    write(artifact, "precision", [{"reason": "near-duplicate", **precision}])
    Mixture(shares={"code": 0.5, "prose": 0.5}, epoch_limits={"code": 4.0, "prose": 4.0}).write(artifact)
    omit(artifact, "quiz", "benchmark items")
    return artifact


def _document(number: int) -> dict[str, Any]:
    kept, domain = number % 10 != 9, "code" if number % 2 else "prose"
    return {
        "id": f"{number:064x}",
        "source": "folder:a" if domain == "code" else "folder:b",
        "domain": domain,
        "language": "code" if domain == "code" else "en",
        "split": ("validation" if number % 10 in (0, 1) else "train") if kept else None,
        "bytes": 1000 + number,
        "characters": 990 + number,
        "kept": kept,
        "reason": "" if kept else "short",
    }


def _source(name: str, documents: list[dict[str, Any]]) -> dict[str, Any]:
    own = [document for document in documents if document["source"] == name]
    kept = [document for document in own if document["kept"]]
    return {
        "source": name,
        "domain": own[0]["domain"],
        "documents": len(own),
        "bytes": sum(document["bytes"] for document in own),
        "kept_documents": len(kept),
        "kept_bytes": sum(document["bytes"] for document in kept),
        "refused_documents": len(own) - len(kept),
        "duplicate_documents": 0,
        "duplicate_bytes": 0,
        "set_aside_files": 0,
    }


@pytest.fixture
def tokenizer(tmp_path: Path) -> Path:
    """A tokenizer with a vocabulary of 1 024."""
    artifact = tmp_path / "tokenizer"
    artifact.mkdir()
    special_tokens.after(1000, 1024).write(artifact)
    row = {"documents": 5, "bytes": 4000, "tokens": 1000, "tokens_per_byte": 0.25, "round_trip_failures": 0}
    write(artifact, "fertility", [{"domain": domain, **row} for domain in ("code", "prose")])
    return artifact


@pytest.fixture
def token_shards(tmp_path: Path) -> Path:
    """Two shards of 1 000 tokens in each split and domain."""
    artifact, splits, rows = tmp_path / "token_shards", {}, []
    for split in ("train", "validation"):
        for domain in ("code", "prose"):
            for shard in ("tokens-00000.bin", "tokens-00001.bin"):
                (artifact / split / domain).mkdir(parents=True, exist_ok=True)
                (artifact / split / domain / shard).write_bytes(bytes(2000))
                counts = {"documents": 10, "tokens": 1000, "bytes": 4000, "min_id": 0, "max_id": 1023}
                rows.append({"split": split, "domain": domain, "shard": shard, **counts, "digest": f"{len(rows):064x}"})
            shards = tuple(ShardTokens(name=shard, tokens=1000) for shard in ("tokens-00000.bin", "tokens-00001.bin"))
            splits.setdefault(split, {})[domain] = DomainTokens(tokens=2000, documents=20, bytes=8000, shards=shards)
    write(artifact, "shards", rows)
    TokenIndex(dtype="uint16", vocab_size=1024, splits=splits).write(artifact)
    Mixture(shares={"code": 0.25, "prose": 0.75}, epoch_limits={"code": 4.0, "prose": 4.0}).write(artifact)
    return artifact


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    """The paper's 7B plan."""
    artifact = tmp_path / "plan"
    shape = ModelShape(n_layer=30, d_model=4096, n_head=32, n_kv_head=32, d_ffn=11008, vocab_size=102400, context=4096)
    steps, batch, length = 211_928, 2304, 4096
    artifact.mkdir()
    Plan(
        shape=shape,
        tokens=steps * batch * length,
        batch_size=batch,
        sequence_length=length,
        steps=steps,
        learning_rate=4.2e-4,
        init_std=0.006,
        warmup_steps=2000,
        compute=4.23e10 * 2e12,
        memory_bytes=70_000_000_000,
        law={"learning_rate": 4.25e-4, "tokens": 4.7e11},
        notes=("above the fitted budgets: the law extrapolates",),
    ).write(artifact)
    write(artifact, "plan", [{"name": "learning_rate", "chosen": 4.2e-4, "law": 4.25e-4}])
    return artifact


@pytest.fixture
def conversations(tmp_path: Path) -> Path:
    """Forty conversations of twenty groups."""
    artifact = tmp_path / "conversations"
    write(artifact, "conversations", [_conversation(number) for number in range(40)])
    omit(artifact, "chats.jsonl", "lines")
    return artifact


def _conversation(number: int) -> dict[str, Any]:
    return {
        "id": f"c{number}",
        "split": _split(number),
        "source": "python-environment:",
        "group": f"g{number // 2}",
        "messages": 2,
        "prompt_characters": 60 + number,
        "answer_characters": 80 + number,
    }


def _split(number: int) -> str:
    return "validation" if number // 2 % 4 == 0 else "train"


@pytest.fixture
def preference_pairs(tmp_path: Path) -> Path:
    """Forty pairs of two kinds in twenty groups."""
    artifact = tmp_path / "preference_pairs"
    write(artifact, "preference_pairs", [_pair(number) for number in range(40)])
    omit(artifact, "pairs.jsonl", "lines")
    return artifact


def _pair(number: int) -> dict[str, Any]:
    return {
        "id": f"p{number}",
        "split": _split(number),
        "kind": "author-vs-sample" if number % 2 else "right-vs-other",
        "group": f"g{number // 2}",
        "prompt_characters": 60,
        "chosen_characters": 80 + number,
        "rejected_characters": 90,
    }


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """Sixty steps of 100 tokens, a quarter of them code, with two validations."""
    artifact = tmp_path / "checkpoint"
    write(artifact, "training", [_step(step) for step in range(1, 61)])
    return artifact


def _step(step: int) -> dict[str, Any]:
    return {
        "step": step,
        "loss": 5.0 - step / 40,
        "learning_rate": 1e-3,
        "gradient_norm": 1.5,
        "tokens": 100 * step,
        "tokens/code": 25 * step,
        "tokens/prose": 75 * step,
        "validation/loss": 4.0 if step % 30 == 0 else None,
    }


@pytest.fixture
def evaluation(tmp_path: Path) -> Path:
    """Three models and two baselines on two domains."""
    artifact = tmp_path / "evaluation"
    bits = {"base": 2.0, "sft": 2.2, "dpo": 2.3, "byte-unigram": 4.8, "zlib-9": 2.5}
    measured = {"documents": 30, "bytes": 60_000}
    rows = [
        {"model": model, "domain": domain, "bits_per_byte": value, **measured}
        for model, value in bits.items()
        for domain in ("code", "prose")
    ]
    write(artifact, "bits_per_byte", rows)
    task = {"task": "answer-choice", "metric": "acc", "value": 0.5, "items": 100, "chance": 0.25}
    local = [{"model": model, **task, "clean_value": None, "clean_items": None} for model in ("base", "sft", "dpo")]
    write(artifact, "tasks", [*local, {"model": "dpo", **task, "task": "quiz", "clean_value": 0.48, "clean_items": 90}])
    counted = {"benchmark": "quiz", "items": 100, "contaminated": 6, "not_searched": 4, "documents": 9}
    write(artifact, "contamination", [counted])
    alignment = [("answer_loss", 4.0, 3.0), ("reward_margin", 0.0, 0.5), ("chosen_log_probability", -9.0, -9.5)]
    write(artifact, "alignment", [{"measure": m, "kind": "all", "before": b, "after": a} for m, b, a in alignment])
    omit(artifact, "quiz", "items")
    FINDINGS.write(artifact)
    return artifact

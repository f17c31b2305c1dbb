"""Small token shards, a plan for them and a tokenizer's files, in the layout of the artifacts."""

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from components.artifacts import DomainTokens, Mixture, ModelShape, Plan, ShardTokens, Span, TokenIndex
from components.tokenizer.special_tokens import SpecialTokens

VOCABULARY, BOS, EOS = 64, 0, 1
SHAPE = ModelShape(n_layer=2, d_model=16, n_head=2, n_kv_head=2, d_ffn=32, vocab_size=VOCABULARY, context=16)
PLAN = Plan(
    shape=SHAPE,
    tokens=12 * 8 * 16,
    batch_size=8,
    sequence_length=16,
    steps=12,
    learning_rate=1e-2,
    init_std=0.02,
    warmup_steps=2,
    compute=1e6,
    memory_bytes=2**20,
    law={},
)


@pytest.fixture
def token_shards(tmp_path: Path) -> Path:
    """Two domains whose text counts upwards, in steps of 1 and of 3: a model can learn it."""
    return write_token_shards(tmp_path / "token-shards")


def write_token_shards(root: Path) -> Path:
    """Token shards' directory."""
    splits = {
        split: {
            domain: _write_domain(root / split / domain, stride, documents)
            for domain, stride, documents in (("code", 1, documents), ("prose", 3, documents))
        }
        for split, documents in (("train", 40), ("validation", 4))
    }
    TokenIndex(dtype="uint16", vocab_size=VOCABULARY, splits=splits).write(root)
    Mixture(shares={"code": 0.6, "prose": 0.4}, epoch_limits={"code": 4.0, "prose": 4.0}).write(root)
    return root


def with_languages(root: Path) -> Mixture:
    """Make the first quarter of the prose of token shards one language and the rest another, half of it each; the mixture."""
    index = TokenIndex.read(root)
    spans = {"aa": Span(start=0, tokens=10 * 62), "bb": Span(start=10 * 62, tokens=30 * 62)}
    train = {**index.splits["train"], "prose": replace(index.splits["train"]["prose"], languages=spans)}
    replace(index, splits={**index.splits, "train": train}).write(root)
    limits = {"code": 4.0, "prose": 4.0}
    mixture = Mixture(shares={"code": 0.5, "prose": 0.5}, epoch_limits=limits, language_shares={"prose": {"aa": 0.5, "bb": 0.5}})
    mixture.write(root)
    return mixture


def _write_domain(directory: Path, stride: int, documents: int) -> DomainTokens:
    directory.mkdir(parents=True)
    texts = [2 + (number * 7 + stride * np.arange(60)) % (VOCABULARY - 2) for number in range(documents)]
    ids = np.concatenate([[BOS, *text, EOS] for text in texts]).astype("<u2")
    (directory / "tokens-00000.bin").write_bytes(ids.tobytes())
    rows = [
        {"id": f"{number:04d}", "shard": "tokens-00000.bin", "start": 62 * number, "tokens": 62, "bytes": 1200}
        for number in range(documents)
    ]
    pq.write_table(pa.Table.from_pylist(rows), directory / "documents.parquet")
    shards = (ShardTokens(name="tokens-00000.bin", tokens=len(ids)),)
    return DomainTokens(tokens=len(ids), documents=documents, bytes=1200 * documents, shards=shards)


@pytest.fixture
def tokenizer(tmp_path: Path) -> Path:
    """The files that a checkpoint takes over; nothing here reads them."""
    directory = tmp_path / "tokenizer"
    directory.mkdir()
    SpecialTokens(bos=BOS, eos=EOS, pad=2, vocab_size=VOCABULARY, regular_tokens=60).write(directory)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (directory / name).write_text("{}")
    return directory


@pytest.fixture
def plan(tmp_path: Path) -> Path:
    """Twelve steps of 128 tokens."""
    return write_plan(tmp_path / "plan", PLAN)


def write_plan(directory: Path, plan: Plan) -> Path:
    """A training plan's directory."""
    directory.mkdir()
    plan.write(directory)
    return directory


def digests(directory: Path) -> dict[str, str]:
    """The sha256 of each file below a directory, by its path there."""
    return {
        path.relative_to(directory).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(directory.rglob("*"))
        if path.is_file()
    }

"""A corpus that knows the splits of a few installed distributions, conversations made of them, and a tiny base model."""

import json
from collections.abc import Callable, Iterable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import settings

from components.alignment.config import ConversationsConfig, PreferencePairsConfig
from components.alignment.conversations import make_conversations
from components.alignment.preference_pairs import make_preference_pairs
from components.artifacts import Mixture, ModelShape
from components.model.decoder import Decoder, initialise
from components.model.huggingface import save
from components.ports import SilentMetrics
from components.tokenizer.config import TokenizerConfig
from components.tokenizer.text_tokenizer import TextTokenizer
from components.tokenizer.training import train_tokenizer

settings.register_profile("steady", deadline=None, derandomize=True)
settings.load_profile("steady")

SPLIT_OF = {"filelock": "train", "typer": "train", "rich": "train", "packaging": "validation", "tqdm": "validation"}

CONVERSATIONS = ConversationsConfig(
    distributions=tuple(SPLIT_OF),
    max_conversations=160,
    max_validation_conversations=40,
    max_instructions_per_distribution=80,
    max_answer_characters=120,
)
PAIRS = PreferencePairsConfig(max_pairs_per_kind=40, max_validation_pairs_per_kind=12, max_new_tokens=8, batch_size=16)


def write_groups(corpus: Path, splits: dict[str, str]) -> Path:
    """A corpus's table of groups."""
    corpus.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table({"group": list(splits), "split": list(splits.values())}), corpus / "groups.parquet")
    return corpus


def lines(path: Path) -> list[dict[str, str]]:
    """The rows of a JSONL file."""
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.fixture
def jsonl(tmp_path: Path) -> Callable[..., str]:
    """Writes rows (or raw bytes) as JSONL and gives the URI."""

    def write(rows: Iterable[object], name: str = "user.jsonl") -> str:
        path = tmp_path / name
        path.write_bytes(b"".join((row if isinstance(row, bytes) else json.dumps(row).encode()) + b"\n" for row in rows))
        return str(path)

    return write


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The splits of `SPLIT_OF`."""
    return write_groups(tmp_path_factory.mktemp("corpus"), SPLIT_OF)


@pytest.fixture(scope="session")
def conversations(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Instructions from the distributions of `SPLIT_OF`."""
    output = tmp_path_factory.mktemp("conversations")
    make_conversations(CONVERSATIONS, corpus=corpus, output=output)
    return output


@pytest.fixture(scope="session")
def base(conversations: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A base model of some 20 k weights, never trained, with a tokenizer trained on the conversations."""
    texts = [message["content"] for line in lines(conversations / "train.jsonl") for message in line["messages"]]
    corpus, tokenizer, output = (tmp_path_factory.mktemp(name) for name in ("texts", "tokenizer", "base"))
    for split in ("train", "validation"):
        directory = corpus / "documents" / split / "prose"
        directory.mkdir(parents=True)
        columns = {"id": [f"{n:04}" for n in range(len(texts))], "text": texts, "bytes": [len(text.encode()) for text in texts]}
        pq.write_table(pa.table(columns), directory / "part-00000.parquet")
    Mixture(shares={"prose": 1.0}, epoch_limits={"prose": 4.0}).write(corpus)
    config = TokenizerConfig(regular_tokens=400, vocab_multiple=64, sample_bytes=100_000)
    train_tokenizer(config, corpus=corpus, output=tokenizer, metrics=SilentMetrics())
    size = TextTokenizer.load(tokenizer).vocab_size
    model = Decoder(ModelShape(n_layer=1, d_model=32, n_head=2, n_kv_head=2, d_ffn=64, vocab_size=size, context=192))
    initialise(model, std=0.05, seed=0)
    save(model, tokenizer, output)
    return output


@pytest.fixture(scope="session")
def pairs(conversations: Path, base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pairs of both embedded kinds, with samples of the base model."""
    output = tmp_path_factory.mktemp("pairs")
    make_preference_pairs(PAIRS, conversations=conversations, checkpoint=base, output=output, metrics=SilentMetrics())
    return output

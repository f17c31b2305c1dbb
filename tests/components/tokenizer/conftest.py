"""A small corpus in the layout of curation, made of the standard library's text, and a tokenizer trained on it."""

import ast
import hashlib
from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from components.artifacts import Mixture
from components.ports import SilentMetrics
from components.tokenizer.config import TokenizerConfig
from components.tokenizer.text_tokenizer import TextTokenizer
from components.tokenizer.training import train_tokenizer

CHINESE = (
    "大学之道，在明明德，在亲民，在止于至善。",
    "知止而后有定；定而后能静；静而后能安；安而后能虑；虑而后能得。",
    "天命之谓性，率性之谓道，修道之谓教。道也者，不可须臾离也，可离非道也。",
    "孟子见梁惠王。王曰：“叟！不远千里而来，亦将有以利吾国乎？”",
)


class CorpusWriter:
    """Writes the files of a corpus below `directory`."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        directory.mkdir(parents=True, exist_ok=True)

    def documents(self, split: str, portion: str, texts: Iterable[str], *, rows_per_file: int = 1 << 20) -> None:
        """Write `texts` as a domain, or one of its languages, sorted by id, in row groups of four documents."""
        rows = sorted((hashlib.sha256(text.encode()).hexdigest(), text) for text in texts)
        directory = self.directory / "documents" / split / portion
        directory.mkdir(parents=True, exist_ok=True)
        for number, start in enumerate(range(0, max(len(rows), 1), rows_per_file)):
            batch = rows[start : start + rows_per_file]
            columns = {
                "id": pa.array([document for document, _ in batch], pa.string()),
                "text": pa.array([text for _, text in batch], pa.string()),
                "bytes": pa.array([len(text.encode()) for _, text in batch], pa.int64()),
            }
            pq.write_table(pa.table(columns), directory / f"part-{number:05d}.parquet", compression="zstd", row_group_size=4)

    def mixture(self, shares: dict[str, float], language_shares: dict[str, dict[str, float]] | None = None) -> None:
        """Write the target shares."""
        mixture = Mixture(shares=shares, epoch_limits=dict.fromkeys(shares, 4.0), language_shares=language_shares or {})
        mixture.write(self.directory)


@pytest.fixture
def new_corpus(tmp_path: Path) -> CorpusWriter:
    """An empty corpus to write."""
    return CorpusWriter(tmp_path / "corpus")


@pytest.fixture(scope="session")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Code and prose of some standard library modules, and Chinese sentences; every fifth document is held out."""
    writer = CorpusWriter(tmp_path_factory.mktemp("corpus"))
    sources = [path.read_text(encoding="utf-8") for path in sorted(Path(ast.__file__).parent.glob("[a-d]*.py"))]
    texts = {
        "code": [source for source in sources if 0 < len(source) < 40_000],
        "prose": [doc for source in sources if (doc := ast.get_docstring(ast.parse(source)))],
        "chinese": [first + second for first in CHINESE for second in CHINESE],
    }
    for domain, members in texts.items():
        writer.documents("train", domain, [text for n, text in enumerate(members) if n % 5], rows_per_file=16)
        writer.documents("validation", domain, members[::5], rows_per_file=16)
    writer.mixture({"code": 0.6, "prose": 0.3, "chinese": 0.1})
    return writer.directory


CONFIG = TokenizerConfig(regular_tokens=700, vocab_multiple=64, sample_bytes=300_000)


@pytest.fixture(scope="session")
def tokenizer_directory(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tokenizer of 700 regular tokens."""
    output = tmp_path_factory.mktemp("tokenizer")
    train_tokenizer(CONFIG, corpus=corpus, output=output, metrics=SilentMetrics())
    return output


@pytest.fixture(scope="session")
def tokenizer(tokenizer_directory: Path) -> TextTokenizer:
    """The same, loaded."""
    return TextTokenizer.load(tokenizer_directory)

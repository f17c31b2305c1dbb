"""Encoding a corpus into token shards in MB/s of one core, beside the library that trained the tokenizer and tiktoken.

`python -m tests.benchmarks.tokenizing [MEGABYTES]`: documents of the installed packages, by domain, and the Chinese texts of
`../shared/data` where those are. Our side is the whole step, from Parquet on disk to shards on disk; the others get the texts
in memory as they like them. Processor time of one process and one thread is counted, without imports, without loading, and for us
without the compilation that the first run on a machine does. Ids are compared for every document. Each kind of
pre-tokenizer has a tokenizer of its own; tiktoken can apply only `longrun`, which is a single expression.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq
import tokenizers

from components.artifacts import Mixture
from components.curation.config import PYTHON_DOMAINS, PYTHON_ENVIRONMENT, CurationConfig, Source
from components.curation.reading.readers import read_documents
from components.curation.reading.sources import list_files
from components.curation.text.normalise import normalise
from components.ports import InProcessShardEngine, SilentMetrics
from components.tokenizer import token_shards
from components.tokenizer.config import LONGRUN, PRE_TOKENIZERS, TokenizerConfig, TokenShardsConfig
from components.tokenizer.pretokenization import PIECE
from components.tokenizer.special_tokens import SpecialTokens
from components.tokenizer.text_tokenizer import FILE
from components.tokenizer.token_shards import TokenShardReader, encode_corpus
from components.tokenizer.training import train_tokenizer
from infra.distributions import source_distributions
from tests.benchmarks.peers.environment import peer_python
from tests.benchmarks.rows import Row, write

Ids = npt.NDArray[np.int64]

HOME = Path(".longrun")
SHARED = Path("../shared/data/corpus")
MEGABYTE = 1_000_000
PEER = ["tiktoken==0.14.0", "numpy==2.4.6", "pyarrow==25.0.1"]
PASSES = 3
"""Passes of each method, of which the fastest counts."""


def main() -> None:
    """Run the benchmark and write its rows."""
    os.environ |= {"TOKENIZERS_PARALLELISM": "false", "RAYON_NUM_THREADS": "1"}
    size = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    with tempfile.TemporaryDirectory(prefix="tokenizing-") as folder:
        directory = Path(folder)
        domains = (*PYTHON_DOMAINS, "chinese")
        texts = {domain: members for domain in domains if (members := documents(domain, size * MEGABYTE))}
        rows: list[Row] = []
        for name in PRE_TOKENIZERS:
            (directory / name).mkdir()
            tokenizer = trained(texts, directory / name, name)
            for domain, members in texts.items():
                rows += compared(name, domain, members, tokenizer)
    write("tokenizing", rows, HOME)


def documents(domain: str, limit: int) -> list[str]:
    """Documents of a domain until there is enough."""
    texts, size = [], 0
    for text in chinese() if domain == "chinese" else installed(domain):
        texts.append(text)
        size += len(text.encode())
        if size > limit:
            break
    return texts


def installed(domain: str) -> Iterator[str]:
    """Documents of the installed packages."""
    source = Source(uri=PYTHON_ENVIRONMENT, domain=domain, weight=1.0, distributions=source_distributions())
    reading = CurationConfig(sources=(source,)).extraction.reading
    for file in list_files(reading).files:
        yield from (normalise(document.text) for document in read_documents(file, reading) if not document.refusal)


def chinese() -> Iterator[str]:
    """Wikipedia's passages, and classical poems."""
    for path in sorted(SHARED.glob("cmrc2018/*.json")):
        articles = json.loads(path.read_text(encoding="utf-8"))["data"]
        yield from (paragraph["context"] for article in articles for paragraph in article["paragraphs"])
    for path in sorted(SHARED.glob("chinese-poetry/*/*.json")):
        yield path.read_text(encoding="utf-8")


def trained(texts: dict[str, list[str]], directory: Path, name: str) -> Path:
    """A tokenizer of 32 000 tokens, trained on some of all domains."""
    for domain, members in texts.items():
        write_corpus(directory / "corpus", domain, members[: len(members) // 2])
    output = directory / "tokenizer"
    output.mkdir()
    config = TokenizerConfig(pre_tokenizer=name, regular_tokens=32_000, sample_bytes=8 * MEGABYTE, max_measured_bytes=1)
    train_tokenizer(config, corpus=directory / "corpus", output=output, metrics=SilentMetrics())
    return output


def write_corpus(corpus: Path, domain: str, texts: list[str]) -> None:
    """One domain in the layout of a corpus; the order of ids is that of the texts."""
    folder = corpus / "documents" / "train" / domain
    folder.mkdir(parents=True)
    ids = [f"{number:064x}" for number in range(len(texts))]
    table = pa.table({"id": ids, "text": texts, "bytes": pa.array([len(text.encode()) for text in texts], pa.int64())})
    pq.write_table(table, folder / "part-00000.parquet", compression="zstd")
    domains = [path.name for path in (corpus / "documents" / "train").iterdir()]
    Mixture(shares={name: 1 / len(domains) for name in domains}, epoch_limits=dict.fromkeys(domains, 4.0)).write(corpus)


def compared(name: str, domain: str, texts: list[str], tokenizer: Path) -> Iterator[Row]:
    """Speeds of all methods on a domain, and how many tokens differ."""
    size, directory, label = sum(len(text.encode()) for text in texts) / MEGABYTE, tokenizer.parent, f"{name}, {domain}"
    seconds, ids = ours(domain, texts, tokenizer, directory)
    for method in ("encode_batch", "encode_batch_fast"):
        other, theirs = library(method, texts, tokenizer)
        yield Row(name=f"{label} / {method}", ours=size / seconds, reference=size / other, target=">= 3", unit="MB/s/core")
    differ = f"{label}: tokens, {differing(ids, theirs)} differ"
    yield Row(name=differ, ours=len(ids), reference=len(theirs), target="1", unit="tokens")
    if name == LONGRUN:
        other, theirs = tiktoken(texts, tokenizer, directory)
        name = f"{label} / tiktoken, of whose {differing(ids, theirs)} differ"
        yield Row(name=name, ours=size / seconds, reference=size / other, target="beside", unit="MB/s/core")


def ours(domain: str, texts: list[str], tokenizer: Path, directory: Path) -> tuple[float, Ids]:
    """Processor seconds of the whole step by an encoder that knows no piece yet, and the ids without BOS and EOS."""
    pa.set_cpu_count(1)
    corpus, taken = directory / domain, []
    write_corpus(corpus, domain, texts)
    for number in range(PASSES + 1):
        output = corpus / f"shards-{number}"
        output.mkdir()
        token_shards._encoder.cache_clear()
        token_shards._encoder(tokenizer)
        started = time.process_time()
        shards(corpus, tokenizer, output)
        taken.append(time.process_time() - started)
    special, reader = SpecialTokens.read(tokenizer), TokenShardReader.open(output)
    ids = reader.window("train", domain, 0, reader.token_count("train", domain)).astype(np.int64)
    return min(taken[1:]), ids[(ids != special.bos) & (ids != special.eos)]


def shards(corpus: Path, tokenizer: Path, output: Path) -> None:
    """The step."""
    engine, metrics = InProcessShardEngine(), SilentMetrics()
    encode_corpus(TokenShardsConfig(), corpus=corpus, tokenizer=tokenizer, output=output, engine=engine, metrics=metrics)


def library(method: str, texts: list[str], tokenizer: Path) -> tuple[float, Ids]:
    """Processor seconds of the library that trained the tokenizer, and its ids."""
    loaded = tokenizers.Tokenizer.from_file(str(tokenizer / FILE))
    loaded.encode_special_tokens = True
    taken = []
    for _ in range(PASSES):
        started = time.process_time()
        encodings = getattr(loaded, method)(texts, add_special_tokens=False)
        ids = np.concatenate([np.array(encoding.ids, dtype=np.int64) for encoding in encodings])
        taken.append(time.process_time() - started)
    return min(taken), ids


def tiktoken(texts: list[str], tokenizer: Path, directory: Path) -> tuple[float, Ids]:
    """The same of tiktoken with the same ranks and the same expression."""
    pq.write_table(pa.table({"text": texts}), directory / "texts.parquet")
    (directory / "expression.txt").write_text(PIECE, encoding="utf-8")
    script = Path(__file__).parent / "peers" / "tiktoken_script.py"
    command = [str(peer_python("tiktoken", PEER)), str(script), str(directory), str(tokenizer / FILE), str(PASSES)]
    output = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    return json.loads(output.splitlines()[-1])["seconds"], np.load(directory / "ids.npy")


def differing(ids: Ids, others: Ids) -> int:
    """Tokens of a domain that differ at the same position; all of the longer array where the lengths differ."""
    return int((ids != others).sum()) if len(ids) == len(others) else max(len(ids), len(others))


if __name__ == "__main__":
    main()

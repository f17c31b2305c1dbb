"""Training the tokenizer, byte-level BPE on a byte-weighted sample of the corpus; or taking an existing one."""

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors, trainers

from components.artifacts import VALIDATION, Figures, Mixture
from components.errors import SourceError, require
from components.files import JSON
from components.locations import fetched_folder, raw_records
from components.ports import Metrics
from components.raw_files import write_raw
from components.tokenizer import chat, documents, fertility, origin, sample, special_tokens, text_tokenizer
from components.tokenizer.config import READ, TokenizerConfig
from components.tokenizer.imported import import_tokenizer
from components.tokenizer.pretokenization import pre_tokenizer, pre_tokenizer_for_training, splits_of
from components.tokenizer.special_tokens import BOS, EOS, PAD
from components.tokenizer.text_tokenizer import TextTokenizer


def train_tokenizer(config: TokenizerConfig, *, corpus: Path, output: Path, metrics: Metrics) -> Figures:
    """Train, write `tokenizer.json` with the files that `transformers` needs, and measure it on the validation split.

    Returns the sizes, the splits, the tokens per byte of each domain and the round trip failures.

    Raises:
        SourceError: the corpus has no training text.
        ConfigError: the sample does not support so many tokens; the message says how many it does.
    """
    quotas = _quotas(config, corpus)
    library = _train(config, _texts(config, corpus, quotas, metrics))
    learned = library.get_vocab_size()
    reason = f"{sum(quotas.values())} bytes of sample have no more pairs that occur {config.min_frequency} times"
    allowed = f"at most {learned}, as {reason}"
    require(learned == config.regular_tokens, config, "regular_tokens", config.regular_tokens, allowed)
    _add_special_tokens(library, config)
    _write(library, config, output)
    return {"sample_bytes": sum(quotas.values())} | _measured(config, corpus, output, metrics)


def adopt_tokenizer(
    config: TokenizerConfig, *, corpus: Path, output: Path, metrics: Metrics, start: Path | None = None
) -> Figures:
    """Take an existing tokenizer instead, and measure it in the same way; its figures but those of a sample.

    It is that of the imported checkpoint `start`; without one, that in the directory `config.start`, whose files are recorded in
    the tables of `components.raw_files`.

    Raises:
        MissingArtifact, DamagedArtifact, ConfigError: as `import_tokenizer` does.
        StoreError: the object store cannot be reached, or refuses.
    """
    if start is not None:
        import_tokenizer(start, output)
    else:
        files = origin.files_of(config.start)
        with fetched_folder(config.start, READ) as directory:
            import_tokenizer(directory, output, config.padded)
        write_raw(raw_records(files, origin.SOURCE), output)
    return _measured(config, corpus, output, metrics)


def _quotas(config: TokenizerConfig, corpus: Path) -> dict[str, int]:
    mixture = Mixture.read(corpus)
    available = {portion: sample.available_bytes(corpus, portion) for portion in mixture.portions}
    if not sum(available.values()):
        domains = ", ".join(mixture.shares)
        raise SourceError(f"{corpus}: no training text in the domains {domains}; allowed: at least one document")
    return sample.quotas(mixture.portions, available, config.sample_bytes)


def _texts(config: TokenizerConfig, corpus: Path, quotas: dict[str, int], metrics: Metrics) -> Iterator[list[str]]:
    done = 0
    for portion, quota in quotas.items():
        for texts in sample.texts(corpus, portion, quota, config.seed):
            yield texts
            done += sum(len(text.encode()) for text in texts)
            metrics.progress(min(done, sum(quotas.values())), sum(quotas.values()), "bytes")


def _train(config: TokenizerConfig, texts: Iterator[list[str]]) -> Tokenizer:
    """The result does not depend on the number of threads: counts of words add up, and the lower ids win ties."""
    library = Tokenizer(models.BPE())
    library.pre_tokenizer = pre_tokenizer_for_training(config.splits)
    library.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=config.regular_tokens,
        min_frequency=config.min_frequency,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    library.train_from_iterator(texts, trainer)
    library.pre_tokenizer = pre_tokenizer(config.splits)
    return library


def _add_special_tokens(library: Tokenizer, config: TokenizerConfig) -> None:
    names = special_tokens.names(config.special_tokens)
    library.add_special_tokens([AddedToken(name, special=True, normalized=False) for name in names])
    bos = (BOS, config.regular_tokens)
    library.post_processor = processors.TemplateProcessing(single=f"{BOS} $A", pair=f"{BOS} $A $B", special_tokens=[bos])


def _write(library: Tokenizer, config: TokenizerConfig, output: Path) -> None:
    special_tokens.after(config.regular_tokens, config.vocab_size).write(output)
    (output / text_tokenizer.FILE).write_text(library.to_str(pretty=True) + "\n", encoding="utf-8")
    for_transformers = json.dumps(_for_transformers(config), indent=1, ensure_ascii=False)
    (output / "tokenizer_config.json").write_text(for_transformers + "\n", encoding="utf-8")


def _for_transformers(config: TokenizerConfig) -> dict[str, JSON]:
    """What `transformers.AutoTokenizer` reads beside `tokenizer.json`.

    `split_special_tokens` is false, although true would encode special tokens written out in a text as text: it would do so with
    those of the chat template too, and no answer would ever end.
    """
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": BOS,
        "eos_token": EOS,
        "pad_token": PAD,
        "extra_special_tokens": special_tokens.names(config.special_tokens)[len((BOS, EOS, PAD)) :],
        "clean_up_tokenization_spaces": False,
        "split_special_tokens": False,
        "chat_template": chat.TEMPLATE,
    }


def _measured(config: TokenizerConfig, corpus: Path, output: Path, metrics: Metrics) -> dict[str, JSON]:
    tokenizer = TextTokenizer.load(output)
    rows = _measure(config, tokenizer, corpus, output)
    metrics.log(0, {f"tokens_per_byte/{row.domain}": row.tokens_per_byte for row in rows})
    return {
        "vocab_size": tokenizer.vocab_size,
        "splits": splits_of(tokenizer.library) or "others",
        "tokens_per_byte": {row.domain: round(row.tokens_per_byte, 4) for row in rows},
        "round_trip_failures": sum(row.round_trip_failures for row in rows),
    }


def _measure(config: TokenizerConfig, tokenizer: TextTokenizer, corpus: Path, output: Path) -> list[fertility.Fertility]:
    domains = documents.domains(corpus, VALIDATION)
    rows = [fertility.measure(tokenizer, corpus, domain, config.max_measured_bytes) for domain in domains]
    (output / "metrics").mkdir()
    table = pa.Table.from_pylist([asdict(row) for row in rows], schema=_FERTILITY)
    pq.write_table(table, output / "metrics" / "fertility.parquet", compression="zstd")
    return rows


_FERTILITY = pa.schema(
    {
        "domain": pa.string(),
        "documents": pa.int64(),
        "bytes": pa.int64(),
        "tokens": pa.int64(),
        "tokens_per_byte": pa.float64(),
        "round_trip_failures": pa.int64(),
    }
)

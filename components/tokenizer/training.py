"""Trains the tokenizer, a byte-level BPE, on a byte-weighted sample of the corpus, or reuses an existing tokenizer."""

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
from components.hub import DATASETS, MODELS
from components.locations import fetched_folder, pinned, raw_records
from components.ports import Metrics
from components.raw_files import write_raw
from components.tokenizer import chat, documents, fertility, origin, sample, special_tokens, text_tokenizer
from components.tokenizer.config import TOKENIZER_FILES, TokenizerConfig
from components.tokenizer.imported import import_tokenizer
from components.tokenizer.pretokenization import pre_tokenizer, pre_tokenizer_for_training, pre_tokenizer_of
from components.tokenizer.special_tokens import BOS, EOS, PAD
from components.tokenizer.text_tokenizer import TextTokenizer


def train_tokenizer(config: TokenizerConfig, *, corpus: Path, output: Path, metrics: Metrics) -> Figures:
    """Train, write `tokenizer.json` with the files that `transformers` needs, and measure it on the validation split.

    Returns the sizes of sample and vocabulary, the pre-tokenizer's name, the tokens per byte of each domain, and the number of
    round-trip failures.

    Raises:
        SourceError: the corpus has no training text.
        ConfigError: the sample yields fewer tokens than `regular_tokens`; the message gives the number.
    """
    quotas = _quotas(config, corpus)
    hf_tokenizer = _train(config, _texts(config, corpus, quotas, metrics))
    learned_vocab_size = hf_tokenizer.get_vocab_size()
    reason = f"{sum(quotas.values())} bytes of sample contain no more pairs that occur at least {config.min_frequency} times"
    allowed = f"at most {learned_vocab_size}, as {reason}"
    require(learned_vocab_size == config.regular_tokens, config, "regular_tokens", config.regular_tokens, allowed)
    _add_special_tokens(hf_tokenizer, config)
    _write(hf_tokenizer, config, output)
    return {"sample_bytes": sum(quotas.values())} | _tokenizer_figures(config, corpus, output, metrics)


def reuse_tokenizer(
    config: TokenizerConfig, *, corpus: Path, output: Path, metrics: Metrics, start: Path | None = None
) -> Figures:
    """Copy an existing tokenizer, and measure it as `train_tokenizer` does. Returns the same figures, except `sample_bytes`.

    The tokenizer comes from the imported checkpoint `start`, or if that is None, from the directory `config.start`, whose files
    are then recorded in the tables of `components.raw_files`.

    Raises:
        MissingArtifact, DamagedArtifact, ConfigError: as for `imported.import_tokenizer`.
        StoreError: the object store cannot be reached, or refuses.
    """
    if start is not None:
        import_tokenizer(start, output)
    else:
        existing = pinned(config.start, (MODELS, DATASETS))
        files = origin.files_of(existing)
        with fetched_folder(existing, TOKENIZER_FILES) as directory:
            import_tokenizer(directory, output, config.padded)
        write_raw(raw_records(files, origin.SOURCE), output)
    return _tokenizer_figures(config, corpus, output, metrics)


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
    """Independent of the number of threads: word counts are summed, and ties are broken by the lower token id."""
    hf_tokenizer = Tokenizer(models.BPE())
    hf_tokenizer.pre_tokenizer = pre_tokenizer_for_training(config.pre_tokenizer)
    hf_tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=config.regular_tokens,
        min_frequency=config.min_frequency,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    hf_tokenizer.train_from_iterator(texts, trainer)
    hf_tokenizer.pre_tokenizer = pre_tokenizer(config.pre_tokenizer)
    return hf_tokenizer


def _add_special_tokens(hf_tokenizer: Tokenizer, config: TokenizerConfig) -> None:
    names = special_tokens.names(config.special_tokens)
    hf_tokenizer.add_special_tokens([AddedToken(name, special=True, normalized=False) for name in names])
    bos = (BOS, config.regular_tokens)
    hf_tokenizer.post_processor = processors.TemplateProcessing(single=f"{BOS} $A", pair=f"{BOS} $A $B", special_tokens=[bos])


def _write(hf_tokenizer: Tokenizer, config: TokenizerConfig, output: Path) -> None:
    special_tokens.after(config.regular_tokens, config.vocab_size).write(output)
    (output / text_tokenizer.FILE).write_text(hf_tokenizer.to_str(pretty=True) + "\n", encoding="utf-8")
    for_transformers = json.dumps(_for_transformers(config), indent=1, ensure_ascii=False)
    (output / "tokenizer_config.json").write_text(for_transformers + "\n", encoding="utf-8")


def _for_transformers(config: TokenizerConfig) -> dict[str, JSON]:
    """The file that `transformers.AutoTokenizer` reads in addition to `tokenizer.json`.

    `split_special_tokens` must be false. If it were true, special tokens written in user text would be encoded as plain text,
    but so would those of the chat template, and no answer would ever end.
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


def _tokenizer_figures(config: TokenizerConfig, corpus: Path, output: Path, metrics: Metrics) -> dict[str, JSON]:
    tokenizer = TextTokenizer.load(output)
    rows = _write_fertility(config, tokenizer, corpus, output)
    metrics.log(0, {f"tokens_per_byte/{row.domain}": row.tokens_per_byte for row in rows})
    return {
        "vocab_size": tokenizer.vocab_size,
        "pre_tokenizer": pre_tokenizer_of(tokenizer.library) or "others",
        "tokens_per_byte": {row.domain: round(row.tokens_per_byte, 4) for row in rows},
        "round_trip_failures": sum(row.round_trip_failures for row in rows),
    }


def _write_fertility(config: TokenizerConfig, tokenizer: TextTokenizer, corpus: Path, output: Path) -> list[fertility.Fertility]:
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

"""How many tokens a tokenizer needs per byte of each domain, and whether texts survive the round trip."""

from dataclasses import dataclass
from pathlib import Path

from components.artifacts import VALIDATION
from components.tokenizer import documents
from components.tokenizer.text_tokenizer import TextTokenizer


@dataclass(frozen=True, kw_only=True, slots=True)
class Fertility:
    """One domain's figures: a row of `metrics/fertility.parquet`."""

    domain: str
    documents: int
    bytes: int
    """UTF-8 bytes of the texts."""
    tokens: int
    """Tokens of the texts, without BOS and EOS."""
    tokens_per_byte: float
    """0 where there is no byte."""
    round_trip_failures: int
    """Documents whose ids decode to another text."""


def measure(tokenizer: TextTokenizer, corpus: Path, domain: str, max_bytes: int) -> Fertility:
    """Encode and decode a domain's validation documents, about `max_bytes` of them at most.

    Documents are sorted by a hash, so that the first ones are a random sample.
    """
    count = size = tokens = failures = 0
    for path in documents.files(corpus, VALIDATION, domain):
        for batch in documents.batches(documents.all_rows(path), ["text", "bytes"]):
            if size >= max_bytes:
                break
            texts = batch["text"].to_pylist()
            encoded = tokenizer.encode_batch(texts)
            count += len(texts)
            size += sum(batch["bytes"].to_pylist())
            tokens += sum(map(len, encoded))
            failures += sum(tokenizer.decode(ids) != text for ids, text in zip(encoded, texts, strict=True))
    return Fertility(
        domain=domain,
        documents=count,
        bytes=size,
        tokens=tokens,
        tokens_per_byte=tokens / size if size else 0.0,
        round_trip_failures=failures,
    )

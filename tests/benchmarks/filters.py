"""The heuristic filters in MB/s of one core, beside datatrove's for the same rules on the same documents.

`python -m tests.benchmarks.filters`. Documents: English prose of the installed packages, at least `MIN_DOCUMENT_BYTES` each, so
that neither result depends on the shortest inputs. Both see all documents; CPU seconds of one process are counted, ours with
normalisation and the language tag. Verdicts differ where datatrove takes each punctuation mark for a word.
"""

import json
import subprocess
import time
from pathlib import Path

from components.curation.config import PYTHON_ENVIRONMENT, CurationConfig, Source
from components.curation.extraction.documents import normalised_document
from components.curation.reading.config import Reading
from components.curation.reading.readers import RawDocument, read_documents
from components.curation.reading.sources import list_files
from components.curation.text.heuristics import Heuristics, heuristics
from infra.distributions import source_distributions
from tests.benchmarks.peers.environment import peer_python
from tests.benchmarks.rows import Row, write

MEGABYTE = 1_000_000
DOCUMENTS_BYTES = 8 * MEGABYTE
MIN_DOCUMENT_BYTES = 1_000
GOPHER = ("gopher-quality", "gopher-repetition")
PEER = ["datatrove==0.10.1", "nltk==3.10.4", "spacy==3.8.18", "orjson==3.13.0", "regex==2026.11.19", "tldextract==5.4.0"]


def main() -> None:
    """Run the benchmark and write its rows."""
    source = Source(uri=PYTHON_ENVIRONMENT, domain="prose", weight=1.0, distributions=source_distributions())
    raw = documents(CurationConfig(sources=(source,)).extraction.reading)
    size = sum(len(document.raw) for document in raw) / MEGABYTE
    seconds, _ = ours(raw, source, heuristics(GOPHER, {}))
    _, kept = ours(raw, source, heuristics(GOPHER, {"gopher-alphabetic-words": 0}))
    peer_seconds, peer_kept = peer(raw)
    every, _ = ours(raw, source, heuristics((*GOPHER, "c4", "fineweb"), {}))
    same = sum(a == b for a, b in zip(kept, peer_kept, strict=True)) / len(kept)
    rows = [
        Row(name="Gopher's rules / datatrove", ours=size / seconds, reference=size / peer_seconds, target=">= 5", unit="MB/s"),
        Row(
            name="all heuristics / datatrove's Gopher",
            ours=size / every,
            reference=size / peer_seconds,
            target=">= 5",
            unit="MB/s",
        ),
        Row(name="same verdict, but for words with letters", ours=same, reference=1.0, target=">= 0.85", unit="share"),
        Row(name="documents kept by Gopher's rules", ours=sum(kept), reference=sum(peer_kept), target="-", unit="documents"),
    ]
    write("filters", rows, Path(".longrun"))


def documents(reading: Reading) -> list[RawDocument]:
    """Prose in the order of its files until there is enough."""
    raw: list[RawDocument] = []
    size = 0
    for file in list_files(reading).files:
        for document in read_documents(file, reading):
            if not document.refusal and len(document.raw) >= MIN_DOCUMENT_BYTES:
                raw.append(document)
                size += len(document.raw)
        if size > DOCUMENTS_BYTES:
            break
    return raw


def ours(raw: list[RawDocument], source: Source, rules: Heuristics) -> tuple[float, list[bool]]:
    """CPU seconds, normalisation and language included, and what is kept."""
    rules.refusal(normalised_document(raw[0], source))
    started = time.process_time()
    kept = [not rules.refusal(normalised_document(document, source)) for document in raw]
    return time.process_time() - started, kept


def peer(raw: list[RawDocument]) -> tuple[float, list[bool]]:
    """The same by datatrove, on the normalised text."""
    path = Path(".longrun/bench/filters.jsonl")
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8") as output:
        output.writelines(json.dumps({"text": document.text}) + "\n" for document in raw)
    script = Path(__file__).parent / "peers" / "datatrove_filters.py"
    command = [str(peer_python("datatrove", PEER)), str(script), str(path)]
    result = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1])
    return result["seconds"], result["kept"]


if __name__ == "__main__":
    main()

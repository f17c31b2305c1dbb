"""Example prompts that suit what a model was trained on, for the commands printed after a run."""

import itertools
import json
from typing import Any

from components.artifacts import VALIDATION, Artifact, Mixture
from components.errors import ArtifactError, StoreError
from components.ports import ArtifactStore
from workflows.steps.journal import Journal

CODE = "class Config:"
"""Beginning of a text for models that learned mostly code."""

OTHER = "The"
"""Beginning of a text if none of the domain can be read."""

_MAX_PROMPT = 40
_MAX_MESSAGE = 100
"""Maximum characters of an example in a command line."""

_LINES = 200
"""Number of held-out conversations among which a short one is looked for."""


def example_prompt(journal: Journal, store: ArtifactStore) -> str:
    """The beginning of a text for the run's models to continue: for code `CODE`, else the first words of a held-out document.

    The domain is the one with the largest share of the mixture. An artifact that cannot be read gives `OTHER`: a run that has
    succeeded does not end with an error about an example.
    """
    # imports numpy, which a command that fails at once does not need
    from components.curation.text.document import CODE_DOMAINS, domain_matches

    try:
        corpus = journal.artifact("curation")
        shares = Mixture.read(store.local(corpus, only=(Mixture.NAME,))).shares
        domain = max(shares, key=lambda name: shares[name])
        return CODE if domain_matches(domain, CODE_DOMAINS) else first_words(_held_out(store, corpus, domain)) or OTHER
    except (ArtifactError, StoreError):
        return OTHER


def example_message(journal: Journal, store: ArtifactStore) -> str:
    """The first short user message among the held-out conversations of a run; empty if there is none."""
    if journal.find("conversations") is None:
        return ""
    try:
        path = store.local(journal.artifact("conversations"), only=(f"{VALIDATION}.jsonl",)) / f"{VALIDATION}.jsonl"
    except (ArtifactError, StoreError):
        return ""
    with path.open(encoding="utf-8") as stream:
        messages = (_user_message(json.loads(line)) for line in itertools.islice(stream, _LINES))
        return next((text for text in messages if text and len(text) <= _MAX_MESSAGE and "\n" not in text), "")


def first_words(text: str) -> str:
    """The first words of the first line with text, at most `_MAX_PROMPT` characters; without spaces, just so many characters."""
    line = next((line.strip() for line in text.splitlines() if line.strip()), "")
    if len(line) <= _MAX_PROMPT:
        return line
    start = line[:_MAX_PROMPT]
    return start.rpartition(" ")[0] or start


def _held_out(store: ArtifactStore, corpus: Artifact, domain: str) -> str:
    """The text of the first held-out document of a domain; empty if there is none."""
    import pyarrow.parquet as pq

    folder = f"documents/{VALIDATION}/{domain}/"
    paths = sorted(record.path for record in store.manifest(corpus.uri).files if record.path.startswith(folder))
    if not paths:
        return ""
    with pq.ParquetFile(store.local(corpus, only=(paths[0],)) / paths[0]) as table:
        rows = next(table.iter_batches(batch_size=1, columns=["text"]), None)
        return str(rows["text"][0].as_py()) if rows is not None and len(rows) else ""


def _user_message(row: Any) -> str:
    return next((str(message["content"]) for message in row["messages"] if message["role"] == "user"), "")

"""`longrun inspect CORPUS`: a corpus as one HTML page, whichever way it is named."""

from pathlib import Path
from typing import Any

from components.artifacts import Artifact
from components.errors import ConfigError
from components.ports import ArtifactStore
from infra.settings import Settings
from infra.storage import store_at
from workflows.steps.journal import find_journal

DOCUMENTS = Path("metrics") / "documents.parquet"
"""What makes a folder a corpus."""

ARTIFACTS = "artifacts/"
"""How the URI of an artifact begins, in its store or in a bucket."""


def inspect(settings: Settings, corpus: str, output: Path | None) -> dict[str, Any]:
    """Write the page of a corpus, and say where it is and what it counts; `output` is its file, or below the home.

    Raises:
        ConfigError: no folder, artifact or run of that name.
        ArtifactError: no corpus is there, or a damaged one.
        StoreError: the bucket cannot be reached.
    """
    from components.curation.pages.corpus_page import render
    from components.curation.pages.overview import overview_of

    folder = find_corpus(settings, corpus)
    found = overview_of(folder)
    page = output or settings.home / "inspected" / f"{found.digest[:12] or folder.resolve().name}.html"
    page.parent.mkdir(parents=True, exist_ok=True)
    beside = page.with_name(f"{page.name}.partial")
    beside.write_text(render(found, found.digest[:12] or folder.resolve().name), encoding="utf-8")
    beside.replace(page)
    total = found.total
    return {
        "page": str(page),
        "documents": total.documents,
        "kept_documents": total.kept_documents,
        "bytes": total.bytes,
        "kept_bytes": total.kept_bytes,
        "not_kept": {reason: documents for reason, documents, _ in found.reasons},
    }


def inspect_lines(found: dict[str, Any]) -> list[str]:
    """What was kept, why the rest was not, and where the page is."""
    lost = ", ".join(f"{documents:,} {reason}" for reason, documents in found["not_kept"].items()) or "none"
    return [f"{found['kept_documents']:,} of {found['documents']:,} documents kept; not kept: {lost}", found["page"]]


def find_corpus(settings: Settings, corpus: str) -> Path:
    """The folder of a corpus, which is given itself, by an artifact's URI, or by a run. Raises what `inspect` raises."""
    folder = Path(corpus).expanduser()
    if (folder / DOCUMENTS).is_file():
        return folder
    if "://" in corpus:
        root, middle, uri = corpus.rstrip("/").partition(f"/{ARTIFACTS}")
        if not middle:
            raise ConfigError(f"corpus {corpus!r}; allowed: a folder, {ARTIFACTS}STEP/KEY, BUCKET/{ARTIFACTS}STEP/KEY, or a run")
        return _local(store_at(root, settings.home), ARTIFACTS + uri)
    store = settings.store
    if corpus.startswith(ARTIFACTS):
        return _local(store, corpus.rstrip("/"))
    if folder.is_dir():
        raise ConfigError(f"corpus {corpus!r}: no {DOCUMENTS} in that folder; name the folder of a finished curation")
    return _local(store, find_journal(settings.runs, corpus).last("curation", ("made", "cached"))["uri"])


def _local(store: ArtifactStore, uri: str) -> Path:
    return store.local(Artifact(uri=uri, digest=store.manifest(uri).digest))

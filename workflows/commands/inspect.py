"""`longrun inspect CORPUS`: a corpus as one HTML page, whichever way it is named."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from components.artifacts import Manifest
from components.errors import ConfigError
from components.files import write_text
from components.ports import ArtifactStore
from infra.settings import Settings
from infra.storage import store_at
from workflows.steps.journals import journal_of

DOCUMENTS = Path("metrics") / "documents.parquet"
"""What makes a folder a corpus."""

ARTIFACTS = "artifacts/"
"""How the URI of an artifact starts, in its store or in a bucket."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Inspected:
    """The page of a corpus, and what it counts."""

    page: str
    documents: int
    kept_documents: int
    bytes: int
    kept_bytes: int
    not_kept: Mapping[str, int]
    """Documents by reason."""


def inspect(settings: Settings, corpus: str, output: Path | None) -> Inspected:
    """Write the page of a corpus, and say where it is and what it counts; `output` is its file, or below the home.

    Raises:
        ConfigError: no folder, artifact or run of that name.
        ArtifactError: no corpus is there, or a damaged one.
        StoreError: the bucket cannot be reached.
    """
    from components.curation.pages.corpus_page import render
    from components.curation.pages.overview import overview_of

    folder, manifest = find_corpus(settings, corpus)
    overview = overview_of(folder, manifest)
    name = overview.digest[:12] or folder.resolve().name
    page = output or settings.home / "inspected" / f"{name}.html"
    page.parent.mkdir(parents=True, exist_ok=True)
    write_text(page, render(overview, name))
    total = overview.total
    return Inspected(
        page=str(page),
        documents=total.documents,
        kept_documents=total.kept_documents,
        bytes=total.bytes,
        kept_bytes=total.kept_bytes,
        not_kept={reason: documents for reason, documents, _ in overview.reasons},
    )


def inspect_lines(counts: Inspected) -> list[str]:
    """How many documents were kept, why the others were not, and where the page is."""
    removed = ", ".join(f"{documents:,} {reason}" for reason, documents in counts.not_kept.items()) or "none"
    return [f"{counts.kept_documents:,} of {counts.documents:,} documents kept; not kept: {removed}", counts.page]


def find_corpus(settings: Settings, corpus: str) -> tuple[Path, Manifest | None]:
    """The folder of a corpus, named by its path, an artifact's URI, or a run; in the latter cases also the manifest.

    In a bucket its documents stay there. Raises what `inspect` raises.
    """
    folder = Path(corpus).expanduser()
    if (folder / DOCUMENTS).is_file():
        return folder, None
    if "://" in corpus:
        root, middle, uri = corpus.rstrip("/").partition(f"/{ARTIFACTS}")
        if not middle:
            raise ConfigError(
                f"corpus {corpus!r}; allowed: a folder, {ARTIFACTS}STEP/KEY/CONTENT, BUCKET/{ARTIFACTS}STEP/KEY/CONTENT, or a run"
            )
        return _opened(store_at(root, settings.copies), ARTIFACTS + uri)
    store = settings.store
    if corpus.startswith(ARTIFACTS):
        return _opened(store, corpus.rstrip("/"))
    if folder.is_dir():
        raise ConfigError(f"corpus {corpus!r}: no {DOCUMENTS} in that folder; name the folder of a finished curation")
    return _opened(store, journal_of(settings, corpus).artifact("curation").uri)


def _opened(store: ArtifactStore, uri: str) -> tuple[Path, Manifest]:
    manifest = store.manifest(uri)
    tables = tuple(record.path for record in manifest.files if not record.path.startswith("documents/"))
    return store.local(manifest.at(uri), only=tables), manifest

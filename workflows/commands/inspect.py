"""`longrun inspect CORPUS`: write an HTML page about a corpus, named by a directory, an artifact URI or a run."""

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
"""The file by which a directory is recognised as a corpus."""

ARTIFACTS = "artifacts/"
"""First component of an artifact's URI within its store or bucket."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Inspected:
    """The HTML page of a corpus, and the counts on it."""

    page: str
    """Path of the HTML file."""
    documents: int
    kept_documents: int
    bytes: int
    kept_bytes: int
    not_kept: Mapping[str, int]
    """Number of removed documents by reason."""


def inspect(settings: Settings, corpus: str, output: Path | None) -> Inspected:
    """Write the page of a corpus to the file `output`, or to a file in the home if None; return its path and counts.

    Raises:
        ConfigError: there is no directory, artifact or run of that name.
        ArtifactError: the corpus is missing or damaged.
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
    """Two lines: how many documents were kept and why the others were removed, and the path of the page."""
    removed = ", ".join(f"{documents:,} {reason}" for reason, documents in counts.not_kept.items()) or "none"
    return [f"{counts.kept_documents:,} of {counts.documents:,} documents kept; removed: {removed}", counts.page]


def find_corpus(settings: Settings, corpus: str) -> tuple[Path, Manifest | None]:
    """The local directory of a corpus named by a path, an artifact URI or a run; for the latter two also its manifest.

    From a bucket only the tables are fetched, not the documents. Raises the same errors as `inspect`.
    """
    folder = Path(corpus).expanduser()
    if (folder / DOCUMENTS).is_file():
        return folder, None
    if "://" in corpus:
        root, middle, uri = corpus.rstrip("/").partition(f"/{ARTIFACTS}")
        if not middle:
            raise ConfigError(
                f"CORPUS is {corpus!r}; allowed: a directory, {ARTIFACTS}STEP/KEY/CONTENT, "
                f"s3://BUCKET/{ARTIFACTS}STEP/KEY/CONTENT, the id of a run, or latest"
            )
        return _opened(store_at(root, settings.copies), ARTIFACTS + uri)
    store = settings.store
    if corpus.startswith(ARTIFACTS):
        return _opened(store, corpus.rstrip("/"))
    if folder.is_dir():
        raise ConfigError(f"CORPUS is {corpus!r}, a directory without {DOCUMENTS}; allowed: the directory of a finished corpus")
    return _opened(store, journal_of(settings, corpus, ("curation",)).artifact("curation").uri)


def _opened(store: ArtifactStore, uri: str) -> tuple[Path, Manifest]:
    manifest = store.manifest(uri)
    tables = tuple(record.path for record in manifest.files if not record.path.startswith("documents/"))
    return store.local(manifest.at(uri), only=tables), manifest

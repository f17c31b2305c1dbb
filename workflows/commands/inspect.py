"""`longrun inspect`: write an HTML page about a corpus, conversations or preference pairs.

They are named by a directory, an artifact URI, or a run and a step.
"""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from components.artifacts import Manifest
from components.errors import ConfigError, unknown
from components.files import write_text
from components.ports import ArtifactStore
from infra.settings import Settings
from infra.storage import store_at
from workflows.steps.journals import journal_of

TABLES = {
    "curation": "metrics/documents.parquet",
    "conversations": "metrics/conversations.parquet",
    "preference_pairs": "metrics/preference_pairs.parquet",
}
"""For each step that can be inspected, the file by which the directory of its artifact is recognised."""

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

    @property
    def lines(self) -> list[str]:
        """Two lines: how many documents were kept and why the others were removed, and the path of the page."""
        removed = ", ".join(f"{documents:,} {reason}" for reason, documents in self.not_kept.items()) or "none"
        return [f"{self.kept_documents:,} of {self.documents:,} documents kept; removed: {removed}", self.page]


@dataclass(frozen=True, kw_only=True, slots=True)
class InspectedItems:
    """The HTML page of conversations or preference pairs, and the counts on it."""

    page: str
    """Path of the HTML file."""
    items: Mapping[str, int]
    """Number of items by split."""
    omitted: Mapping[str, int]
    """Number of items that were left out, by reason."""

    @property
    def lines(self) -> list[str]:
        """Two lines: how many there are and why others were left out, and the path of the page."""
        items = ", ".join(f"{count:,} in {split}" for split, count in self.items.items())
        reasons = ", ".join(f"{count:,} {reason}" for reason, count in self.omitted.items()) or "none"
        return [f"{items}; left out: {reasons}", self.page]


def inspect(settings: Settings, name: str, step: str, output: Path | None) -> Inspected | InspectedItems:
    """Write the page of an artifact to the file `output`, or to a file in the home if None; return its path and counts.

    `name` is a directory, an artifact's URI, or a run whose `step` made the artifact.

    Raises:
        ConfigError: there is no directory, artifact or run of that name, or the step cannot be inspected.
        ArtifactError: the artifact is missing or damaged.
        StoreError: the bucket cannot be reached.
    """
    folder, manifest = find(settings, name, step)
    own = next((own for own, table in TABLES.items() if (folder / table).is_file()), "")
    if own == "curation":
        return _corpus(settings, folder, manifest, output)
    if not own:
        raise ConfigError(f"{name} is not the artifact of a step that can be inspected; allowed: {', '.join(TABLES)}")
    return _items(settings, own, folder, manifest, output)


def _corpus(settings: Settings, folder: Path, manifest: Manifest | None, output: Path | None) -> Inspected:
    from components.curation.pages.corpus_page import render
    from components.curation.pages.overview import overview_of

    overview = overview_of(folder, manifest)
    name = overview.digest[:12] or folder.resolve().name
    total = overview.total
    return Inspected(
        page=_written(settings, name, render(overview, name), output),
        documents=total.documents,
        kept_documents=total.kept_documents,
        bytes=total.bytes,
        kept_bytes=total.kept_bytes,
        not_kept={reason: documents for reason, documents, _ in overview.reasons},
    )


def _items(settings: Settings, step: str, folder: Path, manifest: Manifest | None, output: Path | None) -> InspectedItems:
    from components.alignment.pages.overview import conversations_overview, pairs_overview
    from components.alignment.pages.page import render

    overview = conversations_overview(folder) if step == "conversations" else pairs_overview(folder)
    name = manifest.digest[:12] if manifest else folder.resolve().name
    config = json.dumps(manifest.config, indent=1, sort_keys=True, ensure_ascii=False) if manifest else ""
    items, omitted = Counter[str](), Counter[str]()
    for split, _, count in overview.counts:
        items[split] += count
    for row in overview.omissions.rows:
        omitted[row.reason] += row.count
    page = _written(settings, name, render(overview, name, config), output)
    return InspectedItems(page=page, items=dict(items), omitted=dict(omitted))


def _written(settings: Settings, name: str, html: str, output: Path | None) -> str:
    page = output or settings.home / "inspected" / f"{name}.html"
    page.parent.mkdir(parents=True, exist_ok=True)
    write_text(page, html)
    return str(page)


def find(settings: Settings, name: str, step: str = "curation") -> tuple[Path, Manifest | None]:
    """The local directory of an artifact named by a path, a URI, or a run and a step; for the latter two also its manifest.

    From a bucket, the documents of a corpus are not fetched. Raises the same errors as `inspect`.
    """
    if step not in TABLES:
        raise ConfigError(unknown("step", step, list(TABLES)))
    folder = Path(name).expanduser()
    if any((folder / table).is_file() for table in TABLES.values()):
        return folder, None
    if "://" in name:
        root, middle, uri = name.rstrip("/").partition(f"/{ARTIFACTS}")
        if not middle:
            raise ConfigError(
                f"ARTIFACT is {name!r}; allowed: a directory, {ARTIFACTS}STEP/KEY/CONTENT, "
                f"s3://BUCKET/{ARTIFACTS}STEP/KEY/CONTENT, the id of a run, or latest"
            )
        return _opened(store_at(root, settings.copies), ARTIFACTS + uri)
    store = settings.store
    if name.startswith(ARTIFACTS):
        return _opened(store, name.rstrip("/"))
    if folder.is_dir():
        raise ConfigError(f"ARTIFACT is {name!r}, a directory without one of {', '.join(TABLES.values())}")
    return _opened(store, journal_of(settings, name, (step,)).artifact(step).uri)


def _opened(store: ArtifactStore, uri: str) -> tuple[Path, Manifest]:
    manifest = store.manifest(uri)
    tables = tuple(record.path for record in manifest.files if not record.path.startswith("documents/"))
    return store.local(manifest.at(uri), only=tables), manifest

"""The page of a corpus shows what its tables contain, needs no network, and runs no code from documents."""

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from components.artifacts import MANIFEST, Manifest
from components.curation import QualityConfig
from components.curation.pages.corpus_page import in_words, render
from components.curation.pages.overview import overview_of
from components.errors import DamagedArtifact
from components.page_texts import shown
from tests.components.curation.conftest import config, prose, rows, run, source, write_jsonl

HOSTILE = (
    "<script>alert(1)</script>",
    "</pre><img src=x onerror=alert(1)>",
    '"><svg onload=alert(1)>',
    "{{ 7 * 7 }}{% raw %}",
    "</title></style><iframe src=//evil.example>",
    "<a href='javascript:alert(1)'>x</a>",
    "\u202egpj.exe\u202c",
    "<!-- --><base href=//evil.example>",
)


class Page(HTMLParser):
    """The page as a browser would parse it: tags with their attributes, and text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.open: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "rect", "line"):
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


ALLOWED = {
    *(
        "html",
        "head",
        "meta",
        "title",
        "style",
        "body",
        "main",
        "nav",
        "a",
        "h1",
        "h2",
        "h3",
        "p",
        "div",
        "span",
        "b",
        "i",
        "pre",
    ),
    *("table", "tr", "th", "td", "details", "summary", "svg", "g", "rect", "line", "text", "del", "ins"),
}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A corpus with every optional part, and hostile text in documents, names and URIs."""
    directory = tmp_path_factory.mktemp("hostile")
    data = directory / "<script>alert(1)<&'\""
    data.mkdir()
    texts = [f"{prose(n)}\n{HOSTILE[n % len(HOSTILE)]}\r\n jane@example.org" for n in range(40)]
    write_jsonl(data / "a.jsonl", [*texts, *HOSTILE])
    # Unlike any other text, in a domain of four documents: at most a tenth is refused by quality, so none.
    write_jsonl(directory / "again.jsonl", [f"{prose(107, 300)} one", f"{prose(107, 300)} two", prose(103), prose(103)])
    (data / "b<img src=x onerror=alert(1)>.jsonl.gz").write_bytes(b"no gzip")
    write_jsonl(directory / "reference.jsonl", [f"{prose(n)} river mill" for n in range(1000, 1040)])
    (directory / "words.txt").write_text("script\n")
    chosen = config(
        source(data),
        source(directory / "again.jsonl", "web"),
        personal_data=("email",),
        quality=QualityConfig(references=(source(directory / "reference.jsonl"),), min_documents=10),
        flagged_words={"en": str(directory / "words.txt")},
        samples=60,
    )
    run(chosen, directory)
    return directory / "corpus"


def table_rows(html: str) -> list[list[str]]:
    """The cells of each row of the page's tables."""
    return [re.findall(r"<td>([^<]*)</td>", row) for row in re.findall(r"<tr>(.*?)</tr>", html, re.DOTALL)]


@pytest.fixture(scope="module")
def html(corpus: Path) -> str:
    return render(overview_of(corpus), "<script>alert(1)</script>")


@pytest.mark.long
def test_nothing_of_a_document_becomes_markup(html: str) -> None:
    page = Page(html)
    assert {tag for tag, _ in page.tags} <= ALLOWED
    assert page.open == []
    for _, attributes in page.tags:
        assert not [name for name in attributes if name.startswith("on")]
        assert attributes.get("href", "#").startswith("#")
        assert "src" not in attributes
    for hostile in HOSTILE:
        assert shown(hostile) in page.text


def test_a_browser_is_told_to_run_and_load_nothing(html: str) -> None:
    policies = [values["content"] for tag, values in Page(html).tags if values.get("http-equiv") == "Content-Security-Policy"]
    assert policies == ["default-src 'none'; style-src 'unsafe-inline'"]
    assert "url(" not in html
    assert "@import" not in html


def test_what_hides_or_reorders_text_is_shown_as_code_points(html: str) -> None:
    assert shown("a\u202eb\u0000c\u200bd\te\n") == "a⟨U+202E⟩b⟨U+0000⟩c⟨U+200B⟩d\te\n"
    assert "\u202e" not in html
    assert "⟨U+202E⟩" in html


def test_it_says_what_the_tables_say(corpus: Path, html: str) -> None:
    text = Page(html).text
    overview = overview_of(corpus)
    listed = rows(corpus / "metrics/documents.parquet")
    assert overview.total.documents == len(listed)
    assert overview.total.kept_documents == sum(row["kept"] for row in listed)
    for reason, documents, size in overview.reasons:
        own = [row for row in listed if row["reason"] == reason]
        assert (documents, size) == (len(own), sum(row["bytes"] for row in own))
        assert reason in text
    for histogram in overview.histograms[:1]:
        assert sum(histogram.kept) == overview.total.kept_documents
        assert sum(histogram.removed) == len(listed) - overview.total.kept_documents
    assert {histogram.title for histogram in overview.histograms} == {
        "Length",
        "Quality",
        "Flagged words",
        "Similarity of removed documents",
    }
    for heading in ("Read and normalised", "Refused by filters", "Personal data replaced", "Refused by quality", "Kept"):
        assert heading in text
    assert "Largest clusters of duplicates" in text
    audited = rows(corpus / "metrics/precision.parquet")
    assert {row["reason"] for row in audited} == {"exact-duplicate", "near-duplicate"}
    assert "Removals measured again" in text
    for row in audited:
        cells = [row["reason"], *(f"{row[name]:,}" for name in ("removals", "sampled", "similar"))]
        cells += [f"{row[name]:.4g}" for name in ("precision", "low", "high")]
        assert cells in table_rows(html)
    assert "Near-duplicate candidates" not in text
    assert "Files set aside" in text
    assert "jane@example.org" not in html


def test_the_same_corpus_gives_the_same_bytes(corpus: Path, html: str) -> None:
    assert render(overview_of(corpus), "<script>alert(1)</script>") == html


def test_a_corpus_without_samples_or_scores_has_a_page_too(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "a.jsonl", [prose(n) for n in range(5)])
    run(config(source(tmp_path / "a.jsonl"), samples=0), tmp_path)
    overview = overview_of(tmp_path / "corpus")
    assert [histogram.title for histogram in overview.histograms] == ["Length"]
    assert "No documents were refused or removed" in Page(render(overview, "small")).text


def test_it_shows_how_many_candidates_were_similar(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "a.jsonl", [prose(n // 2, 200).replace("one", "two", n % 2) for n in range(20)])
    figures = run(config(source(tmp_path / "a.jsonl")), tmp_path)
    deduplication = figures["deduplication"]
    assert deduplication["precision_before_verification"] == deduplication["similar"] / deduplication["candidates"] > 0
    made = Manifest(
        step="curation", kind="Corpus", cache_key="", config={}, code_digest="", environment_digest="", figures=figures
    )
    (tmp_path / "corpus" / MANIFEST).write_bytes(made.to_bytes())
    cells = [f"{deduplication[name]:,}" for name in ("bands", "rows", "candidates", "similar")]
    cells.append(f"{deduplication['precision_before_verification']:.4g}")
    assert cells in table_rows(render(overview_of(tmp_path / "corpus"), "small"))


def test_a_folder_that_is_no_corpus_is_named(tmp_path: Path) -> None:
    with pytest.raises(DamagedArtifact, match=r"refusals\.parquet: missing, so this is not a complete corpus"):
        overview_of(tmp_path)


@pytest.mark.parametrize(("size", "words"), [(0, "0 bytes"), (999, "999 bytes"), (1000, "1 kB"), (2_340_000, "2.34 MB")])
def test_sizes_are_said_in_the_unit_that_suits_them(size: int, words: str) -> None:
    assert in_words(size) == words


def test_lengths_fall_into_bins_of_powers_of_two(corpus: Path) -> None:
    (length,) = [histogram for histogram in overview_of(corpus).histograms if histogram.title == "Length"]
    sizes: list[Any] = [row["bytes"] for row in rows(corpus / "metrics/documents.parquet")]
    first = next(number for number in range(28) if 2 ** (number + 1) > max(1, min(sizes)))
    assert length.labels[0] == ["1 B", "2 B", "4 B", "8 B", "16 B", "32 B", "64 B"][first]
    assert replace(length, labels=()).labels == ()
    assert json.dumps(length.kept)

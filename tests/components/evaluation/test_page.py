"""The page: self-contained, escaped, complete."""

import dataclasses
import html.parser

import pytest

from components.evaluation.page import render
from tests.components.evaluation.conftest import BITS, NASTY, findings


class Page(html.parser.HTMLParser):
    """Collects tags, what they load, and text; and whether every tag is closed."""

    def __init__(self):
        super().__init__()
        self.tags, self.loads, self.text, self.open = [], [], "", []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.loads += [value for name, value in attrs if name in ("src", "href", "srcset", "data")]
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


@pytest.fixture(scope="module")
def text():
    return render(findings())


@pytest.fixture(scope="module")
def page(text):
    page = Page()
    page.feed(text)
    return page


def test_the_page_loads_nothing_and_closes_every_tag(page, text):
    assert page.loads == []
    assert page.open == []
    assert "url(" not in text
    assert "@import" not in text


def test_what_a_model_wrote_is_shown_and_never_interpreted(page):
    assert "script" not in page.tags
    assert NASTY in page.text


def test_every_model_and_baseline_has_a_bar_in_every_domain(page):
    bits, tasks, benchmark = len(BITS) * 2, 3 * 2, 2
    assert page.tags.count("rect") == bits + tasks + benchmark
    assert page.tags.count("line") == 3


def test_benchmarks_are_shown_on_all_and_on_clean_items_with_what_documents_held(text):
    rows = ["".join(row.split()) for row in text.split("<tr>")]
    cells = ["quiz", "acc_norm", "dpo", "62.5%", "50.0%", "50.0%", "20", "16"]
    assert any(row.startswith("".join(f"<td>{cell}</td>" for cell in cells)) for row in rows)
    assert any(row.startswith("".join(f"<td>{cell}</td>" for cell in ("quiz", 1200, 30, 4, 50))) for row in rows)


def test_without_tasks_alignment_and_samples_the_page_is_still_whole():
    assert "Bits per byte" in render(dataclasses.replace(findings(), tasks=(), alignment=(), samples=()))

"""The page of conversations and pairs: all of it is there, nothing is executed, and nothing is loaded."""

from html.parser import HTMLParser
from pathlib import Path

import pytest

from components.alignment.pages.overview import AlignmentOverview, conversations_overview, pairs_overview
from components.alignment.pages.page import render
from components.alignment.records import write_records
from components.artifacts import Conversation, Omission, OmissionCase, Omissions, PreferencePair

NASTY = 'a <script>alert("x")</script> \u202e & {{ braces }}'


class Reader(HTMLParser):
    """Collects the tags and the text of a page."""

    def __init__(self, html: str) -> None:
        """Read the page."""
        super().__init__()
        self.tags: list[str] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep the tag."""
        self.tags.append(tag)
        assert not {name for name, _ in attrs} & {"src", "href", "onclick"}

    def handle_data(self, data: str) -> None:
        """Keep the text."""
        self.text += data


@pytest.fixture
def conversations(tmp_path: Path) -> AlignmentOverview:
    """A conversation of hostile texts, and a hostile line that was left out."""
    messages = [{"role": "user", "content": NASTY}, {"role": "assistant", "content": "Yes."}]
    common = {"source": "s", "uri": NASTY, "licence": "MIT", "group": "g", "task": "user"}
    row = Conversation(id="1", messages=messages, **common)
    write_records(Conversation, "conversations", {"train": [row], "validation": []}, tmp_path)
    case = OmissionCase(uri="chats.jsonl#7", detail=NASTY)
    omission = Omission(source="chats.jsonl", unit="lines", reason="invalid-json", count=84, total=200, cases=(case,))
    Omissions(rows=(omission,)).write(tmp_path)
    return conversations_overview(tmp_path)


def test_hostile_texts_are_shown_and_not_executed(conversations: AlignmentOverview) -> None:
    html = render(conversations, "name")
    page = Reader(html)
    assert "script" not in page.tags
    assert "\u202e" not in html
    assert NASTY.replace("\u202e", "⟨U+202E⟩") in page.text
    assert "default-src 'none'" in html


def test_what_was_left_out_is_on_the_page_with_share_reason_and_line(conversations: AlignmentOverview) -> None:
    text = Reader(render(conversations, "name")).text
    assert "84 of 200 lines" in text
    assert "42.0 %" in text
    assert "chats.jsonl#7: a <script>" in text
    assert "the items themselves" in text


def test_pairs_are_compared_word_by_word(tmp_path: Path) -> None:
    texts = {"prompt": "Which?", "chosen": "the blue one", "rejected": "the red one"}
    row = PreferencePair(id="1", kind="user", source="s", group="g", uri="pairs.jsonl#1", **texts)
    write_records(PreferencePair, "preference_pairs", {"train": [row], "validation": []}, tmp_path)
    html = render(pairs_overview(tmp_path), "name", '{"seed": 0}')
    assert "the <ins>blue</ins> one" in html
    assert "the <del>red</del> one" in html
    text = Reader(html).text
    assert "Nothing was left out." in text
    assert "pairs.jsonl#1" in text
    assert '{"seed": 0}' in text


def test_equal_artifacts_give_equal_pages(conversations: AlignmentOverview) -> None:
    assert render(conversations, "name") == render(conversations, "name")

"""Boilerplate lines are dropped, and sentences stay."""

import pytest

from components.curation.extraction.documents import normalised_document
from components.curation.filtering.boilerplate import without_boilerplate
from components.curation.reading.readers import RawDocument
from tests.components.curation.conftest import source

SENTENCE = "The bell was rung when the boats came back."
CHINESE = "北京是中国的首都，也是全国的政治中心。"


@pytest.mark.parametrize(
    "line",
    [
        "Home About Contact News Shop",
        "Read more.",
        "Please enable JavaScript to see this page.",
        "By going on you accept our use of cookies.",
    ],
)
def test_menus_fragments_and_notices_are_dropped(line: str) -> None:
    assert without_boilerplate(f"{line}\n{SENTENCE}\n\n{SENTENCE}\n{line}\n", spaced=True) == f"{SENTENCE}\n\n{SENTENCE}\n"


@pytest.mark.parametrize(
    "line", ["首页 新闻 联系我们", "更多。", "版权所有，未经许可不得转载本网站内容。", "继续浏览即表示您同意我们的隐私政策。"]
)
def test_chinese_lines_are_measured_in_characters(line: str) -> None:
    assert without_boilerplate(f"{line}\n{CHINESE}\n", spaced=False) == f"{CHINESE}\n"


@pytest.mark.parametrize("notice", ["our cookie policy", "a site that uses cookies", "the use of cookies", "how we use cookies"])
def test_c4s_phrases_about_cookies_are_notices_and_the_biscuit_is_none(notice: str) -> None:
    recipe = "She baked one more cookie for the boy who had come late.\nCookies are best when they are still warm."
    assert without_boilerplate(f"{recipe}\nHere you can read about {notice} in full.\n", spaced=True) == f"{recipe}\n"
    assert without_boilerplate("本网站使用Cookie来改善您的浏览体验。\nCookie可以帮助我们改善网站的服务。\n", spaced=False) == "\n"


def test_marks_of_citations_go() -> None:
    assert without_boilerplate("It was rung twice[3] on the day of the fair[citation needed].\n", spaced=True) == (
        "It was rung twice on the day of the fair.\n"
    )


def test_only_prose_loses_lines_and_only_where_the_set_is_chosen() -> None:
    text = f"def f():\n    return 1\n{SENTENCE}\n"
    document = RawDocument(source_index=0, uri="", text=text, raw=b"")
    assert normalised_document(document, source("x"), ("c4-lines",)).text == f"{SENTENCE}\n"
    assert normalised_document(document, source("x")).text == text
    assert normalised_document(document, source("x", "code"), ("c4-lines",)).text == text
    assert normalised_document(document, source("x", "maths"), ("c4-lines",)).text == text

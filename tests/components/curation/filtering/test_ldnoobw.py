"""The built-in lists are the published ones without words that ordinary text uses too."""

import pytest

from components.curation.filtering.flagged_words import WordList
from components.curation.filtering.ldnoobw import EXCLUDED, PUBLISHED, words_in


def test_the_words_excluded_from_the_shipped_lists_are_in_the_published_ones() -> None:
    for language, published in PUBLISHED.items():
        listed = published.strip().split("|")
        assert set(EXCLUDED[language].strip().split("|")) < set(listed)
        assert len(words_in(language)) > 150
        assert all(word and word == word.strip() for word in listed)


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("en", "The class of assets passed the assessment; Dick and the cock crowed, and sexual health was discussed."),
        ("en", "Gay and lesbian couples, black women and trans people spoke of rape, abuse and the law."),
        ("zh", "体操比赛今日你可以看到，飞机巴士当日批准，买卖比较多。妈妈的可能性很大，他妈妈在家。"),
    ],
)
def test_ordinary_text_holds_no_word_of_the_shipped_lists(language: str, text: str) -> None:
    assert WordList.of(words_in(language)).flagged(text).terms == 0


@pytest.mark.parametrize(("language", "word"), [("en", "motherfucker"), ("zh", "操你妈")])
def test_a_list_refuses_abuse(language: str, word: str) -> None:
    assert WordList.of(words_in(language)).flagged(f"{word}!").terms == 1

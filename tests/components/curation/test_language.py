"""The script tells the language, and function words tell English."""

import pytest

from components.curation.characters import classes_of, codes_of
from components.curation.language import language_of


@pytest.mark.parametrize(
    ("text", "language"),
    [
        (
            "It is a truth universally acknowledged that a single man in possession of a good fortune must be in want of a wife.",
            "en",
        ),
        ("Parameters\n----------\nx : array_like\n    The input to the function, a matrix of shape (n, m).", "en"),
        ("大学之道，在明明德，在亲民，在止于至善。", "zh"),
        ("これは日本語の文章です。漢字と仮名が混ざっています。", "other"),
        ("Longtemps, je me suis couché de bonne heure; parfois, à peine ma bougie éteinte, mes yeux se fermaient.", "other"),
        ("Все счастливые семьи похожи друг на друга.", "other"),
        ("123 456", "other"),
        ("", "other"),
    ],
)
def test_the_tag_follows_script_and_function_words(text: str, language: str) -> None:
    assert language_of(text, classes_of(codes_of(text))) == language

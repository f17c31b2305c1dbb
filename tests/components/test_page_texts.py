"""Untrusted texts on pages: nothing is hidden, and a comparison has all of both texts."""

from components.page_texts import differences, shown


def test_hidden_characters_are_shown_as_code_points_and_white_space_stays() -> None:
    assert shown("a\u202eb\u0000c\u200bd\te\n") == "a⟨U+202E⟩b⟨U+0000⟩c⟨U+200B⟩d\te\n"
    assert shown(None) == ""


def test_differences_are_all_of_both_texts() -> None:
    segments = list(differences("the red grue sleeps", "the blue grue sleeps well"))
    assert [(segment.kind, segment.text) for segment in segments] == [
        ("same", "the "),
        ("removed", "red"),
        ("new", "blue"),
        ("same", " grue sleeps"),
        ("new", " well"),
    ]

"""Which rules apply to a document follows from its language tag, its domain and its script."""

import pytest

from components.curation.text.characters import classes_of, codes_of
from components.curation.text.document import CODE_DOMAINS, MATHS_DOMAINS, NormalisedDocument, domain_matches


def document(text: str, *, language: str = "other", domain: str = "web") -> NormalisedDocument:
    codes = codes_of(text)
    return NormalisedDocument(text=text, raw=text, codes=codes, classes=classes_of(codes), language=language, domain=domain)


@pytest.mark.parametrize(
    ("domain", "matches"), [("code", True), ("code-python", True), ("codex", False), ("my-code", False), ("web", False)]
)
def test_a_domain_has_a_name_with_or_without_a_suffix(domain: str, matches: bool) -> None:
    assert domain_matches(domain, CODE_DOMAINS) is matches


@pytest.mark.parametrize("domain", [*MATHS_DOMAINS, "maths-olympiads"])
def test_a_document_of_a_mathematical_domain_is_mathematical_whatever_its_language(domain: str) -> None:
    assert document("x = 1", domain=domain).is_maths
    assert not document("x = 1").is_maths


def test_a_document_is_code_by_its_tag_and_not_by_its_domain() -> None:
    assert document("x = 1", language="code").is_code
    assert not document("x = 1", domain="code").is_code


@pytest.mark.parametrize(
    ("text", "unspaced"),
    [
        ("大学之道在明明德", True),
        ("ひらがなとカタカナ", True),
        ("ภาษาไทย", True),
        ("ພາສາລາວ", True),
        ("မြန်မာဘာသာ", True),
        ("ភាសាខ្មែរ", True),
        ("한국어 문장", False),
        ("plain words", False),
        ("русские слова", False),
        ("ab大学", False),
        ("ab大学之", True),
        ("123 !?", False),
        ("", False),
    ],
)
def test_most_letters_decide_whether_words_are_spaced(text: str, unspaced: bool) -> None:
    assert document(text).unspaced is unspaced

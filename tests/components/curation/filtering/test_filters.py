"""Every filter refuses the documents that it is meant for, with its reason, and no others."""

import pytest

from components.curation import FilteringConfig
from components.curation.extraction.documents import normalised_document
from components.curation.filtering.filters import filters_of, first_refusal
from components.curation.reading.readers import RawDocument
from components.curation.text.document import NormalisedDocument
from tests.components.curation.conftest import prose, source

RULES = filters_of(FilteringConfig(min_characters=20, max_characters=5000))
CODE = "".join(f"def function_{i}(value):\n    return value + {i}\n\n" for i in range(20))
QUADRATIC = """3x^2 - 12x + 9 = 0
a = 3, b = -12, c = 9
x = (12 +- sqrt(12^2 - 4 * 3 * 9)) / (2 * 3)
x = (12 +- sqrt(144 - 108)) / 6
x = (12 +- 6) / 6
x = 3 or x = 1
3 * 3^2 - 12 * 3 + 9 = 27 - 36 + 9 = 0
3 * 1^2 - 12 * 1 + 9 = 3 - 12 + 9 = 0
"""
SUMS = "".join(f"{113 + 17 * i} + {311 + 29 * i} = {424 + 46 * i}\n" for i in range(12))
CHINESE = "知止而后有定；定而后能静；静而后能安；安而后能虑；虑而后能得。物有本末，事有终始。\n"


def document(text: str, domain: str) -> NormalisedDocument:
    return normalised_document(RawDocument(source_index=0, uri="", text=text, raw=text.encode()), source("x", domain))


@pytest.mark.parametrize(
    ("text", "domain", "reason"),
    [
        (prose(1), "prose", ""),
        (CODE, "code", ""),
        (CHINESE, "prose", ""),
        ("too short", "prose", "short"),
        (prose(1) * 10, "prose", "long"),
        ("\x01\x02" * 30 + prose(1), "prose", "binary"),
        ("\ufffd" * 30 + prose(1), "prose", "binary"),
        ("\r\n".join(prose(seed, 10) for seed in range(8)), "prose", ""),
        ("3.14 2.71 1.41 " * 50, "prose", "few-letters"),
        ("".join(f"{i}, {i * i}, {i + 7},\n" for i in range(99)), "code", "few-letters"),
        ("x = [" + "value_of_it, " * 100 + "]\n", "code", "long-lines"),
        ("".join(f"x{i} = '{'long' * 30}'\n" for i in range(30)), "code", "long-lines"),
        ("Home About Contact\n" * 9 + prose(1, 5), "prose", "repeated-lines"),
        ("return the value\n" * 9 + prose(1, 5), "code", ""),
        ("0: 3,  # letter\n" * 90 + prose(1, 5), "code", "repeated-lines"),
        (CODE, "code-python", ""),
        ("return the value\n" * 9 + prose(1, 5), "code-python", ""),
        (QUADRATIC, "maths", ""),
        (SUMS, "maths", ""),
        (SUMS, "math-school", ""),
        (SUMS, "prose", "few-letters"),
        ("+---+---+---+ = | . | . |\n" * 3 + "| . | : | + - * / ( ) ; , |\n" * 9, "maths", "few-letters"),
        (SUMS + SUMS, "maths", ""),
        (SUMS * 3, "maths", "repeated-lines"),
    ],
)
def test_each_rule_refuses_what_it_is_for(text: str, domain: str, reason: str) -> None:
    assert first_refusal(RULES, document(text, domain)) == reason


def test_a_fixed_language_of_code_exempts_from_the_rules_for_prose() -> None:
    document = RawDocument(source_index=0, uri="", text="return the value\n" * 9 + prose(1, 5), raw=b"")
    assert first_refusal(RULES, normalised_document(document, source("x", "scripts", language="code"))) == ""
    assert first_refusal(RULES, normalised_document(document, source("x", "scripts"))) == "repeated-lines"

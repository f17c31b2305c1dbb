"""The class of each byte of a text, by the library's expressions."""

import numpy as np
import pytest

from components.errors import DamagedArtifact
from components.tokenizer.character_classes import INNER, NEWLINE, CharacterClasses

SPACE, LETTER, DIGIT, MARK = 2, 3, 4, 5

EXPRESSIONS, CLASSES = ("[a-zé]", "[0-9]"), {1: LETTER, 2: DIGIT}


def classes_of(text: str, expressions: tuple[str, ...] = EXPRESSIONS) -> list[int]:
    classes = CharacterClasses(expressions, CLASSES, {" ": SPACE})
    return classes.of(np.frombuffer(text.encode(), dtype=np.uint8)).tolist()


def test_every_byte_has_the_class_of_the_expression_that_matches_its_character() -> None:
    assert classes_of("aé 1\n") == [LETTER, LETTER, INNER, SPACE, DIGIT, NEWLINE]


def test_more_characters_than_are_looked_up_at_a_time_get_their_classes() -> None:
    text = "".join(map(chr, range(0x4E00, 0x4E00 + 10_000)))
    classes = CharacterClasses((r"\p{Han}",), {1: MARK}, {})
    assert classes.of(np.frombuffer(text.encode(), dtype=np.uint8)).tolist() == [MARK, INNER, INNER] * 10_000


@pytest.mark.parametrize(
    ("text", "expressions"), [("a.", EXPRESSIONS), ("a", ("[a-z]", "[a0-9]"))], ids=["no expression", "two expressions"]
)
def test_a_character_that_matches_otherwise_than_expected_is_refused(text: str, expressions: tuple[str, ...]) -> None:
    with pytest.raises(DamagedArtifact, match="classes of characters are not those of this version"):
        classes_of(text, expressions)

"""Every code point has a class."""

import pytest

from components.curation.text.characters import CharacterClass, classes_of, codes_of


@pytest.mark.parametrize(
    ("character", "kind"),
    [
        ("a", CharacterClass.LATIN),
        ("É", CharacterClass.LATIN),
        ("ж", CharacterClass.LETTER),
        ("中", CharacterClass.HAN),
        ("𠀀", CharacterClass.HAN),
        ("ひ", CharacterClass.KANA),
        ("7", CharacterClass.DIGIT),
        ("_", CharacterClass.DIGIT),
        (" ", CharacterClass.SPACE),
        ("\u3000", CharacterClass.SPACE),
        ("。", CharacterClass.OTHER),
        ("🙂", CharacterClass.OTHER),
        ("\U0010ffff", CharacterClass.OTHER),
    ],
)
def test_a_character_is_classed(character: str, kind: CharacterClass) -> None:
    assert classes_of(codes_of(character)).tolist() == [kind]


def test_codes_and_classes_have_one_entry_per_character() -> None:
    text = "aé中𠀀🙂\n"
    assert codes_of(text).tolist() == [ord(character) for character in text]
    assert len(classes_of(codes_of(text))) == len(text)

"""Where text is cut before BPE."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Regex, pre_tokenizers

from components.tokenizer.pretokenization import PIECE, pre_tokenizer

CUT = pre_tokenizers.Split(Regex(PIECE), behavior="isolated")

NEWLINES = "\r\n"
CJK = "一龥あんアンー가힣㐀豈"


def cut(text: str) -> list[str]:
    return [piece for piece, _ in CUT.pre_tokenize_str(text)]


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("Hello my friend", ["Hello", " my", " friend"]),
        ("x = (1 + 23)", ["x", " =", " (", "1", " +", " ", "2", "3", ")"]),
        ("def f():\n    return x\n", ["def", " f", "():", "\n", "   ", " return", " x", "\n"]),
        ("\t\tif x:\r\n\r\n", ["\t\t", "if", " x", ":", "\r\n\r\n"]),
        ("it's", ["it", "'", "s"]),
        ("2024年，中文and日本語。", ["2", "0", "2", "4", "年", "，", "中文", "and", "日本語", "。"]),
        ("コーヒー 한국어", ["コーヒー", " ", "한국어"]),
        ("हिन्दी", ["हिन्दी"]),
        ("trailing   ", ["trailing", "   "]),
        ("¼ and ٣٤", ["¼", " and", " ", "٣", "٤"]),
        ("", []),
    ],
)
def test_texts_are_cut_between_classes(text: str, pieces: list[str]) -> None:
    assert cut(text) == pieces


TEXTS = st.text(st.one_of(st.characters(exclude_categories=["Cs"]), st.sampled_from(NEWLINES + CJK + "0123456789 \tabc.,'_")))


@given(TEXTS)
def test_the_pieces_are_the_text(text: str) -> None:
    assert "".join(cut(text)) == text


@given(TEXTS)
def test_digits_stand_alone(text: str) -> None:
    assert all(len(piece) == 1 for piece in cut(text) if any(unicodedata.category(c).startswith("N") for c in piece))


@given(st.text(NEWLINES + CJK + "ab19 \t.,'_é，。"))
def test_newlines_and_cjk_characters_merge_only_with_their_own_kind(text: str) -> None:
    for piece in cut(text):
        for kind in (set(NEWLINES), set(CJK)):
            assert not set(piece) & kind or set(piece) <= kind, piece


@given(TEXTS)
def test_letters_and_punctuation_never_merge(text: str) -> None:
    for piece in cut(text):
        classes = {unicodedata.category(character)[0] for character in piece}
        assert not (classes & set("LM") and classes & set("PS")), piece


def test_bytes_are_written_as_printable_characters() -> None:
    assert [piece for piece, _ in pre_tokenizer("longrun").pre_tokenize_str("a 中")] == ["a", "Ġ", "ä¸Ń"]

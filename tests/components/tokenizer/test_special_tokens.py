"""The control tokens."""

from components.tokenizer import special_tokens
from components.tokenizer.special_tokens import SpecialTokens


def test_there_are_as_many_distinct_names_as_asked_for() -> None:
    names = special_tokens.names(15)
    assert len(set(names)) == 15
    assert names[:2] == ["<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>"]


def test_ids_follow_the_regular_tokens_as_in_the_model_of_the_paper() -> None:
    special = special_tokens.after(100_000, 102_400)
    assert (special.bos, special.eos) == (100_000, 100_001)


def test_what_a_checkpoint_brings_of_a_tokenizer_includes_their_file() -> None:
    assert SpecialTokens.NAME in special_tokens.TOKENIZER_FILES

"""The chat format, and its equality with what `transformers` makes of the exported files."""

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.errors import SourceError
from components.tokenizer.chat import encode_conversation, encode_prompt
from components.tokenizer.special_tokens import EOS, names
from components.tokenizer.text_tokenizer import TextTokenizer


def user(content: str) -> dict[str, str]:
    return {"role": "user", "content": content}


def assistant(content: str) -> dict[str, str]:
    return {"role": "assistant", "content": content}


def written(tokenizer: TextTokenizer, ids: list[int]) -> str:
    """The ids as text, BOS and EOS between guillemets."""
    control = {tokenizer.bos_id: "«BOS»", tokenizer.eos_id: "«EOS»"}
    return "".join(control.get(i) or tokenizer.decode([i]) for i in ids)


TWO_TURNS = [user("Add 1 and 2."), assistant("3"), user("And 4?"), assistant("7")]


def test_a_conversation_reads_as_the_recipe_says(tokenizer: TextTokenizer) -> None:
    ids, _ = encode_conversation(tokenizer, TWO_TURNS)
    expected = "«BOS»User: Add 1 and 2.\n\nAssistant: 3«EOS»User: And 4?\n\nAssistant: 7«EOS»"
    assert written(tokenizer, ids) == expected


def test_answers_and_their_ends_are_learned_and_nothing_else(tokenizer: TextTokenizer) -> None:
    ids, learned = encode_conversation(tokenizer, TWO_TURNS)
    assert len(ids) == len(learned)
    assert written(tokenizer, [i for i, is_answer in zip(ids, learned, strict=True) if is_answer]) == " 3«EOS» 7«EOS»"


def test_a_prompt_ends_where_the_answer_begins(tokenizer: TextTokenizer) -> None:
    prompt = encode_prompt(tokenizer, TWO_TURNS[:3])
    ids, learned = encode_conversation(tokenizer, TWO_TURNS)
    assert written(tokenizer, prompt).endswith("«EOS»User: And 4?\n\nAssistant:")
    assert ids[: len(prompt)] == prompt
    assert all(learned[len(prompt) :])


def test_a_user_cannot_end_the_turn_by_writing_the_end_token(tokenizer: TextTokenizer) -> None:
    ids = encode_prompt(tokenizer, [user(f"hi{EOS}")])
    assert tokenizer.eos_id not in ids
    assert EOS in tokenizer.decode(ids)


CONTENTS = st.text(st.one_of(st.characters(exclude_categories=["Cs"]), st.sampled_from(" \n\t:(12中a")), max_size=30).filter(
    lambda text: not any(name in text for name in names(15))
)


@pytest.fixture(scope="module")
def of_transformers(tokenizer_directory: Path) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(tokenizer_directory)


@given(st.lists(st.tuples(CONTENTS, CONTENTS), min_size=1, max_size=3))
def test_the_exported_template_gives_the_same_ids(
    tokenizer: TextTokenizer, of_transformers: Any, turns: list[tuple[str, str]]
) -> None:
    messages = [message for question, answer in turns for message in (user(question), assistant(answer))]
    conversation = of_transformers.apply_chat_template(messages)["input_ids"]
    prompt = of_transformers.apply_chat_template(messages[:-1], add_generation_prompt=True)["input_ids"]
    assert conversation == encode_conversation(tokenizer, messages)[0]
    assert prompt == encode_prompt(tokenizer, messages[:-1])


def test_transformers_parses_special_tokens_that_a_message_writes_out_and_we_do_not(
    tokenizer: TextTokenizer, of_transformers: Any
) -> None:
    messages = [user(f"hi{EOS}")]
    assert tokenizer.eos_id in of_transformers.apply_chat_template(messages)["input_ids"]
    assert tokenizer.eos_id not in encode_prompt(tokenizer, messages)


def test_the_exported_template_refuses_a_system_prompt(of_transformers: Any) -> None:
    from jinja2 import TemplateError

    with pytest.raises(TemplateError, match="messages must alternate"):
        of_transformers.apply_chat_template([{"role": "system", "content": "Be kind."}, user("Hi")])


@pytest.mark.parametrize(
    ("messages", "reason"),
    [
        ([], "end with None; allowed: 'assistant'"),
        ([user("a")], "end with 'user'; allowed: 'assistant'"),
        ([{"role": "system", "content": "a"}, assistant("b")], "message 0 has the role 'system'; allowed here: 'user'"),
        ([user("a"), user("b")], "message 1 has the role 'user'; allowed here: 'assistant'"),
        ([user("a"), {"role": "assistant"}], "message 1 has no text"),
        ([{"content": "a"}], "message 0 has the role None"),
    ],
)
def test_messages_out_of_order_are_refused(tokenizer: TextTokenizer, messages: list[dict[str, str]], reason: str) -> None:
    with pytest.raises(SourceError, match=re.escape(reason)):
        encode_conversation(tokenizer, messages)


def test_a_prompt_that_ends_with_an_answer_is_refused(tokenizer: TextTokenizer) -> None:
    with pytest.raises(SourceError, match="end with 'assistant'; allowed: 'user'"):
        encode_prompt(tokenizer, TWO_TURNS)

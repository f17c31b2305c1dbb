"""The chat format: BOS, then `User: …\\n\\nAssistant: …` EOS for each turn, and no system prompt.

As on the model's public page (https://github.com/deepseek-ai/DeepSeek-LLM, "Chat Completion").
"""

from collections.abc import Mapping, Sequence

from components.errors import SourceError
from components.tokenizer.text_tokenizer import TextTokenizer

USER = "User: "
ASSISTANT = "\n\nAssistant:"
"""Without the space after the colon: the pre-tokenizer splits before it, so it belongs to the answer."""

Message = Mapping[str, str]
"""`role` ("user" or "assistant") and `content`."""

TEMPLATE = (
    "{{ bos_token }}"
    "{% for message in messages %}"
    "{% if message['role'] != ('user' if loop.index0 % 2 == 0 else 'assistant') %}"
    "{{ raise_exception('messages must alternate: user, assistant, user, …') }}"
    "{% elif message['role'] == 'user' %}{{ 'User: ' + message['content'] + '\\n\\n' }}"
    "{% else %}{{ 'Assistant: ' + message['content'] + eos_token }}{% endif %}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ 'Assistant:' }}{% endif %}"
)
"""The same format for `transformers`. Ids are equal unless a message spells out a special token: `transformers` parses the
rendered text, and cannot tell the template's tokens from the message's."""


def encode_conversation(tokenizer: TextTokenizer, messages: Sequence[Message]) -> tuple[list[int], list[bool]]:
    """Ids of a whole conversation, and for each whether it is to be learned: whether it is of an answer, its EOS included.

    Raises:
        SourceError: the messages do not alternate from user to assistant, or do not end with an answer.
    """
    _refuse_unless_alternating(messages, last="assistant")
    ids, learned = [tokenizer.bos_id], [False]
    for message in messages:
        encoded = _encode_message(tokenizer, message)
        ids += encoded
        learned += [message["role"] == "assistant"] * len(encoded)
    return ids, learned


def encode_prompt(tokenizer: TextTokenizer, messages: Sequence[Message]) -> list[int]:
    """Ids of a conversation that waits for an answer. They end with `Assistant:`, and are a prefix of `encode_conversation`'s.

    Raises:
        SourceError: the messages do not alternate from user to assistant, or do not end with the user's.
    """
    _refuse_unless_alternating(messages, last="user")
    return [tokenizer.bos_id, *(i for message in messages for i in _encode_message(tokenizer, message))]


def _encode_message(tokenizer: TextTokenizer, message: Message) -> list[int]:
    if message["role"] == "user":
        return tokenizer.encode(USER + message["content"] + ASSISTANT)
    return [*tokenizer.encode(" " + message["content"]), tokenizer.eos_id]


def _refuse_unless_alternating(messages: Sequence[Message], *, last: str) -> None:
    roles = [message.get("role") for message in messages]
    for number, (role, expected) in enumerate(zip(roles, ["user", "assistant"] * len(roles), strict=False)):
        if role != expected:
            raise SourceError(f"message {number} has the role {role!r}; allowed here: {expected!r} (no system prompt)")
        if not isinstance(messages[number].get("content"), str):
            raise SourceError(f"message {number} has no text; allowed: a string as content")
    if not roles or roles[-1] != last:
        raise SourceError(f"the messages end with {roles[-1] if roles else None!r}; allowed: {last!r} as the last role")

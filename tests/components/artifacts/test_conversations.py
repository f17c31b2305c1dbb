"""What the metrics tables keep of conversations and preference pairs. Their lines are read in test_json_file.py."""

from components.artifacts import Conversation, PreferencePair


def test_a_conversation_is_measured_by_role() -> None:
    messages = [{"role": role, "content": text} for role, text in (("user", "错"), ("assistant", "ab"), ("user", "c"))]
    conversation = Conversation(id="1", messages=messages, source="s", uri="s#1", group="g", licence="MIT", task="user")
    counts = {"messages": 3, "prompt_characters": 2, "answer_characters": 2}
    assert conversation.measures() == {"id": "1", "source": "s", "group": "g", "task": "user", **counts}


def test_a_pair_is_measured_by_text() -> None:
    pair = PreferencePair(id="1", kind="user", prompt="p", chosen="cc", rejected="", source="s", group="g")
    counts = {"prompt_characters": 1, "chosen_characters": 2, "rejected_characters": 0}
    assert pair.measures() == {"id": "1", "kind": "user", "group": "g", **counts}

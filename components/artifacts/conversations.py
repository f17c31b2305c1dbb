"""Conversations and preference pairs: the lines of `train.jsonl` and `validation.jsonl`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from components.artifacts.json_file import JsonLine


@dataclass(frozen=True, kw_only=True, slots=True)
class Conversation(JsonLine):
    """Messages that alternate from user to assistant and end with an answer."""

    STEP: ClassVar[str] = "the step conversations"

    id: str
    messages: Sequence[Mapping[str, str]]
    """`role` ("user" or "assistant") and `content` of each."""
    source: str
    """`python-environment:`, or the name of the user's file."""
    uri: str
    """The Python function, or the line of the file, that it was made from."""
    group: str
    """All conversations of a group are in the same split: a distribution, the user's own group, or the hash of the first
    prompt."""
    licence: str
    task: str
    """"describe", "declare" or "implement" for embedded instructions; "user" for the user's own data."""

    def measures(self) -> dict[str, str | int]:
        """One row of the metrics table, with the number of messages and the characters of prompts and answers."""
        sizes = {role: sum(len(m["content"]) for m in self.messages if m["role"] == role) for role in ("user", "assistant")}
        counts = {"messages": len(self.messages), "prompt_characters": sizes["user"], "answer_characters": sizes["assistant"]}
        return {"id": self.id, "source": self.source, "group": self.group, "task": self.task, **counts}


@dataclass(frozen=True, kw_only=True, slots=True)
class PreferencePair(JsonLine):
    """One user message with a better and a worse answer."""

    STEP: ClassVar[str] = "the step preference_pairs"

    id: str
    kind: str
    """"author-vs-sample", "right-vs-other" or "user"."""
    prompt: str
    chosen: str
    rejected: str
    source: str
    group: str
    uri: str = ""
    """The Python function, or the line of the file, that it was made from; empty in artifacts of earlier versions."""

    def measures(self) -> dict[str, str | int]:
        """One row of the metrics table, with the characters of each text."""
        texts = {"prompt": self.prompt, "chosen": self.chosen, "rejected": self.rejected}
        sizes = {f"{name}_characters": len(text) for name, text in texts.items()}
        return {"id": self.id, "kind": self.kind, "group": self.group, **sizes}

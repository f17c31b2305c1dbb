"""Conversations to fine-tune on: instructions from installed packages, and a user's own files."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.alignment.config import ConversationsConfig
from components.alignment.instructions import instructions
from components.alignment.jsonl import BadLineError, JsonlSource, text_field, write_evidence
from components.alignment.records import SPLITS, Conversation, identifier, write_records
from components.alignment.sides import Sides, wished_side
from components.errors import SourceError
from components.python_environment import distributions


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A conversation that may be taken."""

    conversation: Conversation
    about: str
    """Candidates about the same thing teach the same thing: one of them is taken."""
    wish: str | None = None
    """The side that its own line names."""


def make_conversations(config: ConversationsConfig, *, corpus: Path, output: Path) -> dict[str, Any]:
    """Write `{train,validation}.jsonl`, `raw.parquet` (the user's files) and the metrics tables; returns the figures.

    Each conversation falls on the side where the corpus put its group. What is learned is never held out too.

    Raises:
        SourceError: a file that cannot be read as promised, or nothing for one of the sides.
    """
    files = [JsonlSource(uri, config.max_bad_lines) for uri in config.sources]
    candidates = [*_embedded(config), *(candidate for file in files for candidate in _users(file))]
    splits = _chosen(candidates, Sides.of_corpus(corpus, config.validation_share), config)
    write_records("conversations", splits, output)
    write_evidence(files, output)
    return {
        **{split: len(conversations) for split, conversations in splits.items()},
        **{f"train/{task}": count for task, count in sorted(Counter(c.task for c in splits["train"]).items())},
        "candidates": len(candidates),
        "refused_lines": sum(len(file.refusals) for file in files),
    }


def _embedded(config: ConversationsConfig) -> Iterator[_Candidate]:
    for distribution in distributions(config.distributions):
        for summary, conversation in instructions(distribution, config):
            yield _Candidate(conversation, summary)


def _users(file: JsonlSource) -> Iterator[_Candidate]:
    for line, (messages, row) in file.rows(_parse):
        about = identifier(*(text for message in messages for text in message.values()))
        conversation = Conversation(
            id=identifier(file.uri, line, about),
            messages=messages,
            source=file.uri,
            uri=f"{file.uri}#{line}",
            group=text_field(row, "group", identifier(messages[0]["content"])),
            licence=text_field(row, "licence", "unknown"),
            task="user",
        )
        yield _Candidate(conversation, about, wished_side(row))


def _parse(row: Mapping[str, Any]) -> tuple[list[dict[str, str]], Mapping[str, Any]]:
    """The messages of a line, and the line. Raises `BadLineError` unless they alternate from user to assistant."""
    raw = row.get("messages")
    if not isinstance(raw, list) or not raw or not all(isinstance(message, dict) for message in raw):
        raise BadLineError("`messages` is missing, empty, or no list of objects")
    messages = [{name: text_field(message, name) for name in ("role", "content")} for message in raw]
    expected = ["user", "assistant"] * (len(messages) // 2 or 1)
    if [message["role"] for message in messages] != expected:
        raise BadLineError("`messages` do not alternate from user to assistant and end with an answer (no system prompt)")
    for name in ("group", "licence"):
        text_field(row, name, "")
    wished_side(row)
    return messages, row


def _chosen(candidates: Sequence[_Candidate], sides: Sides, config: ConversationsConfig) -> dict[str, list[Conversation]]:
    """What is taken for each side, in the order of ids; training chooses first."""
    side = sides.split((candidate.conversation.group, candidate.wish) for candidate in candidates)
    order = sorted(candidates, key=lambda candidate: identifier(config.seed, candidate.conversation.id))
    taken: set[str] = set()
    splits = {}
    for split, number in zip(SPLITS, (config.number, config.validation_number), strict=True):
        # Training claims all of its candidates, also those beyond `number`: raising it changes nothing held out.
        distinct = list(_distinct((c for c in order if side[c.conversation.group] == split), taken))
        splits[split] = sorted(distinct[:number], key=lambda conversation: conversation.id)
        if not distinct:
            raise SourceError(f"conversations: none for {split}; add sources or distributions whose groups the corpus put there")
    return splits


def _distinct(candidates: Iterable[_Candidate], taken: set[str]) -> Iterator[Conversation]:
    """The first candidate about each thing that is not in `taken`, to which it is added."""
    for candidate in candidates:
        if candidate.about not in taken:
            taken.add(candidate.about)
            yield candidate.conversation

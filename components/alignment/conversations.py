"""Collects the conversations for fine-tuning: the user's own files, then instructions made from installed packages."""

import itertools
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.alignment.config import ConversationsConfig
from components.alignment.instructions import instructions
from components.alignment.jsonl import (
    MISSING_FIELD,
    WRONG_TYPE,
    WRONG_VALUE,
    BadLineError,
    JsonlSource,
    named_files,
    text_field,
    write_evidence,
)
from components.alignment.records import content_of, drawn_by, identifier, in_order, write_records
from components.alignment.splits import SplitAssignment, preferred_split
from components.artifacts import (
    DUPLICATE,
    OVER_LIMIT,
    SPLITS,
    TRAIN,
    VALIDATION,
    Conversation,
    Figures,
    OmissionCase,
    OmissionTally,
)
from components.errors import SourceError
from components.files import JSON
from components.python_environment import Distribution, distributions

UNIT = "conversations"
"""Unit of the omissions of conversations."""


@dataclass(frozen=True, slots=True)
class CandidateConversation:
    """A conversation that may be chosen."""

    conversation: Conversation
    about: str
    """Key of its subject; of the candidates with the same key, only the first is chosen."""
    preferred: str | None = None
    """The split that its line requests; None: none."""


def make_conversations(config: ConversationsConfig, *, corpus: Path, output: Path) -> Figures:
    """Write `{train,validation}.jsonl`, the list of the user's files and the metrics tables into `output`; returns the figures.

    Each conversation is in the split that its group has in the corpus. In each split, the user's conversations come first, then
    those of the distributions in turn. Held-out conversations are chosen first, so that their subjects are not trained on and
    `max_conversations` does not affect them. Lines that cannot be used are left out (`components.artifacts.omissions`).

    Raises:
        SourceError: a file cannot be read or has no usable line, or there is no conversation for one of the splits.
    """
    tally = OmissionTally()
    files = named_files(config.sources, tally)
    users = [candidate for file in files for candidate in _from_file(file)]
    installed = {distribution.name: distribution for distribution in distributions(config.distributions)}
    groups = [(candidate.conversation.group, candidate.preferred) for candidate in users]
    assignment = SplitAssignment.of_corpus(corpus, config.validation_share)
    split_of = assignment.assign([*groups, *((name, None) for name in installed)])
    seen: set[str] = set()
    splits = {}
    for split in reversed(SPLITS):
        chosen = itertools.islice(_distinct(_candidates(split, users, installed, split_of, config), seen), _limit(config, split))
        splits[split] = in_order(chosen)
        if not splits[split]:
            raise SourceError(
                f"conversations: none for {split}; add sources or distributions whose groups are in that split of the corpus"
            )
    used = {conversation.id for conversations in splits.values() for conversation in conversations}
    for candidate in users:
        _count(candidate, split_of, used, seen, tally)
    write_records(Conversation, "conversations", splits, output)
    write_evidence(files, output)
    tally.omissions().write(output)
    return _figures(splits) | tally.omissions().figures


_LIMITS = {TRAIN: "max_conversations", VALIDATION: "max_validation_conversations"}
"""Field of the config with the maximum number of conversations of each split."""


def _limit(config: ConversationsConfig, split: str) -> int:
    limit: int = getattr(config, _LIMITS[split])
    return limit


def _count(
    candidate: CandidateConversation, split_of: Mapping[str, str], used: set[str], seen: set[str], tally: OmissionTally
) -> None:
    """Count one of the user's conversations; if it was not used, record whether it is a copy or beyond the maximum."""
    conversation, case = candidate.conversation, OmissionCase(uri=candidate.conversation.uri)
    tally.add(conversation.source, UNIT)
    if conversation.id in used:
        return
    if candidate.about in seen:
        tally.omit(conversation.source, UNIT, DUPLICATE, case)
    else:
        setting = f"conversations.{_LIMITS[split_of[conversation.group]]}"
        tally.omit(conversation.source, UNIT, OVER_LIMIT, case, setting)


def _candidates(
    split: str,
    users: list[CandidateConversation],
    installed: Mapping[str, Distribution],
    split_of: Mapping[str, str],
    config: ConversationsConfig,
) -> Iterator[CandidateConversation]:
    """The candidates of a split, in order of priority. Packages are only read as far as the iterator is consumed."""
    own = [candidate for candidate in users if split_of[candidate.conversation.group] == split]
    yield from sorted(own, key=lambda candidate: drawn_by(candidate.conversation, config.seed))
    names = sorted((name for name in installed if split_of[name] == split), key=lambda name: identifier(config.seed, name))
    yield from _round_robin([_from_distribution(installed[name], config) for name in names])


def _from_distribution(distribution: Distribution, config: ConversationsConfig) -> Iterator[CandidateConversation]:
    return (CandidateConversation(conversation, summary) for summary, conversation in instructions(distribution, config))


def _round_robin(streams: Iterable[Iterator[CandidateConversation]]) -> Iterator[CandidateConversation]:
    """Take one element of each stream in turn, until all are exhausted."""
    waiting = deque(streams)
    while waiting:
        stream = waiting.popleft()
        for candidate in itertools.islice(stream, 1):
            waiting.append(stream)
            yield candidate


def _distinct(candidates: Iterable[CandidateConversation], seen: set[str]) -> Iterator[Conversation]:
    """The first candidate for each subject that is not in `seen`; its subject is added to `seen`."""
    for candidate in candidates:
        if candidate.about not in seen:
            seen.add(candidate.about)
            yield candidate.conversation


def _from_file(file: JsonlSource) -> Iterator[CandidateConversation]:
    for line, (messages, row) in file.rows(parse_line):
        conversation = Conversation(
            id=identifier(file.name, line),
            messages=messages,
            source=file.name,
            uri=f"{file.name}#{line}",
            group=text_field(row, "group", "") or identifier(messages[0]["content"]),
            licence=text_field(row, "licence", "unknown"),
            task="user",
        )
        yield CandidateConversation(conversation, content_of(conversation), preferred_split(row))


def parse_line(row: Mapping[str, Any]) -> tuple[list[dict[str, str]], Mapping[str, Any]]:
    """The messages of a line, and the line. Raises `BadLineError` if they are invalid or do not alternate correctly."""
    raw = row.get("messages")
    if raw is None:
        raise BadLineError(MISSING_FIELD, f"`messages` is missing; the line has {', '.join(map(repr, row)) or 'no fields'}")
    if not isinstance(raw, list) or not raw or not all(isinstance(message, dict) for message in raw):
        raise BadLineError(WRONG_TYPE, "`messages` is empty, or not a list of objects")
    messages = [_message(number, message) for number, message in enumerate(raw, start=1)]
    expected = ["user", "assistant"] * (len(messages) // 2 or 1)
    if [message["role"] for message in messages] != expected:
        roles = ", ".join(message["role"] for message in messages)
        raise BadLineError(
            WRONG_VALUE,
            f"`messages` must alternate between user and assistant, starting with user, without a system prompt; roles: {roles}",
        )
    for name in ("group", "licence"):
        text_field(row, name, "")
    preferred_split(row)
    return messages, row


def _message(number: int, message: Mapping[str, Any]) -> dict[str, str]:
    try:
        return {name: text_field(message, name) for name in ("role", "content")}
    except BadLineError as error:
        raise BadLineError(error.reason, f"message {number}: {error}") from error


def _figures(splits: Mapping[str, list[Conversation]]) -> dict[str, JSON]:
    """Number of conversations by split, and of training conversations by task."""
    tasks = Counter(conversation.task for conversation in splits[TRAIN])
    return {**{split: len(splits[split]) for split in SPLITS}, **{f"train/{task}": tasks[task] for task in sorted(tasks)}}

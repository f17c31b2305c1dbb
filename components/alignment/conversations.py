"""Collects the conversations for fine-tuning: the user's own files, then instructions made from installed packages."""

import itertools
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.alignment.config import ConversationsConfig
from components.alignment.instructions import instructions
from components.alignment.jsonl import BadLineError, JsonlSource, named_files, text_field, write_evidence
from components.alignment.records import content_of, drawn_by, identifier, in_order, write_records
from components.alignment.splits import SplitAssignment, preferred_split
from components.artifacts import SPLITS, TRAIN, Conversation, Figures
from components.errors import SourceError
from components.python_environment import Distribution, distributions


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
    `max_conversations` does not affect them.

    Raises:
        SourceError: a file cannot be read or has too many unusable lines, or there is no conversation for one of the splits.
    """
    files = named_files(config.sources, config.max_bad_lines)
    users = [candidate for file in files for candidate in _from_file(file)]
    assignment = SplitAssignment.of_corpus(corpus, config.validation_share)
    seen: set[str] = set()
    splits = {}
    for split, candidates in reversed(_by_split(users, assignment, config).items()):
        limit = config.max_conversations if split == TRAIN else config.max_validation_conversations
        chosen = itertools.islice(_distinct(candidates, seen), limit)
        splits[split] = in_order(chosen)
        if not splits[split]:
            raise SourceError(
                f"conversations: none for {split}; add sources or distributions whose groups are in that split of the corpus"
            )
    write_records(Conversation, "conversations", splits, output)
    write_evidence(files, output)
    return _figures(splits, files)


def _by_split(
    users: list[CandidateConversation], assignment: SplitAssignment, config: ConversationsConfig
) -> dict[str, Iterator[CandidateConversation]]:
    """The candidates of each split, in order of priority. Packages are only read as far as the iterators are consumed."""
    installed = {distribution.name: distribution for distribution in distributions(config.distributions)}
    groups = [(candidate.conversation.group, candidate.preferred) for candidate in users]
    splits = assignment.assign([*groups, *((name, None) for name in installed)])
    users = sorted(users, key=lambda candidate: drawn_by(candidate.conversation, config.seed))
    names = sorted(installed, key=lambda name: identifier(config.seed, name))
    return {
        split: itertools.chain(
            [candidate for candidate in users if splits[candidate.conversation.group] == split],
            _round_robin([_from_distribution(installed[name], config) for name in names if splits[name] == split]),
        )
        for split in SPLITS
    }


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
    for line, (messages, row) in file.rows(_parse):
        conversation = Conversation(
            id=identifier(file.name, line),
            messages=messages,
            source=file.name,
            uri=f"{file.name}#{line}",
            group=text_field(row, "group", identifier(messages[0]["content"])),
            licence=text_field(row, "licence", "unknown"),
            task="user",
        )
        yield CandidateConversation(conversation, content_of(conversation), preferred_split(row))


def _parse(row: Mapping[str, Any]) -> tuple[list[dict[str, str]], Mapping[str, Any]]:
    """The messages of a line, and the line. Raises `BadLineError` if they are invalid or do not alternate correctly."""
    raw = row.get("messages")
    if not isinstance(raw, list) or not raw or not all(isinstance(message, dict) for message in raw):
        raise BadLineError("`messages` is missing, empty, or not a list of objects")
    messages = [{name: text_field(message, name) for name in ("role", "content")} for message in raw]
    expected = ["user", "assistant"] * (len(messages) // 2 or 1)
    if [message["role"] for message in messages] != expected:
        raise BadLineError("`messages` must alternate between user and assistant, starting with user, without a system prompt")
    for name in ("group", "licence"):
        text_field(row, name, "")
    preferred_split(row)
    return messages, row


def _figures(splits: Mapping[str, list[Conversation]], files: list[JsonlSource]) -> Figures:
    """Number of conversations by split, of training conversations by task, and of refused lines."""
    tasks = Counter(conversation.task for conversation in splits[TRAIN])
    return {
        **{split: len(splits[split]) for split in SPLITS},
        **{f"train/{task}": tasks[task] for task in sorted(tasks)},
        "refused_lines": sum(len(file.refusals) for file in files),
    }

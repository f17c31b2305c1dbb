"""Makes preference pairs from conversations: an author's text against another answer. Reads the user's own pairs."""

import dataclasses
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from components.alignment.config import PreferencePairsConfig
from components.alignment.jsonl import BadLineError, JsonlSource, named_files, text_field, write_evidence
from components.alignment.records import identifier, in_order, write_records
from components.alignment.samples import ANSWERED, Sampler
from components.alignment.splits import SplitAssignment, preferred_split
from components.artifacts import OVER_LIMIT, SPLITS, Conversation, Figures, OmissionCase, OmissionTally, PreferencePair
from components.errors import SourceError
from components.ports import Metrics

TASKS = ("describe", "user")
"""Tasks from which embedded pairs are made. The others are answered with code, where many different answers are equally good."""

UNIT = "pairs"
"""Unit of the omissions of pairs."""

EQUAL_ANSWERS = "equal-answers"
"""Reason of a pair without a preference."""


def make_preference_pairs(
    config: PreferencePairsConfig, *, conversations: Path, checkpoint: Path, output: Path, metrics: Metrics
) -> Figures:
    """Write `{train,validation}.jsonl`, the list of the user's files and the metrics tables into `output`; returns the figures.

    Embedded pairs are made from conversations with one question; each pair is in the split of its conversation. `checkpoint` is
    the SFT model from which answers are sampled; it is read only for the kind "author-vs-sample". What cannot be used is left out
    (`components.artifacts.omissions`).

    Raises:
        SourceError: a file cannot be read or has no usable line, or there is no pair for one of the splits.
        ConfigError: `max_new_tokens` is not below the model's context.
    """
    tally = OmissionTally()
    files = named_files(config.sources, tally)
    sources = {split: Conversation.read(conversations, split) for split in SPLITS}
    users = _from_files(files, sources, config)
    sampler = Sampler.load(checkpoint, config, metrics, tally) if "author-vs-sample" in config.kinds else None
    splits = {}
    for split, maximum in zip(SPLITS, ("max_pairs_per_kind", "max_validation_pairs_per_kind"), strict=True):
        limit = getattr(config, maximum)
        drawn = _drawn(sources[split], limit, config.seed, tally) if config.kinds else []
        pairs = _against_samples(drawn, sampler, tally) if sampler else []
        if "right-vs-other" in config.kinds:
            pairs += _against_others(drawn)
        pairs += _within_limit(users[split], limit, f"preference_pairs.{maximum}", tally)
        splits[split] = in_order(pairs)
        if not pairs:
            omitted = "".join(f"; {warning}" for warning in tally.omissions().warnings)
            raise SourceError(
                f"preference pairs: none for {split}; add kinds, sources or conversations with one question{omitted}"
            )
    write_records(PreferencePair, "preference_pairs", splits, output)
    write_evidence(files, output)
    tally.omissions().write(output)
    counts = {f"{split}/{kind}": n for split in SPLITS for kind, n in sorted(Counter(p.kind for p in splits[split]).items())}
    return counts | tally.omissions().figures


def _within_limit(pairs: Sequence[PreferencePair], limit: int, setting: str, tally: OmissionTally) -> Sequence[PreferencePair]:
    """The first `limit` of the user's pairs of a split; the others are recorded."""
    for pair in pairs:
        tally.add(pair.source, UNIT)
    for pair in pairs[limit:]:
        tally.omit(pair.source, UNIT, OVER_LIMIT, OmissionCase(uri=pair.uri), setting)
    return pairs[:limit]


def _drawn(conversations: Sequence[Conversation], limit: int, seed: int, tally: OmissionTally) -> list[Conversation]:
    """The conversations from which pairs are made, in a random order. Those with several questions are left out and recorded."""
    suitable = [conversation for conversation in conversations if conversation.task in TASKS]
    drawn = in_order((conversation for conversation in suitable if len(conversation.messages) == 2), seed)[:limit]
    for conversation in suitable:
        if len(conversation.messages) != 2:
            tally.add(conversation.source, ANSWERED)
            tally.omit(conversation.source, ANSWERED, "several-questions", OmissionCase(uri=conversation.uri))
    for conversation in drawn:
        tally.add(conversation.source, ANSWERED)
    return drawn


def _against_samples(conversations: Sequence[Conversation], sampler: Sampler, tally: OmissionTally) -> list[PreferencePair]:
    """Pairs of a conversation's answer and the model's answer, unless they are equal or the model's is empty."""
    pairs = []
    for conversation, sample in sampler.answers(conversations):
        reason = EQUAL_ANSWERS if sample == _answer(conversation) else "" if sample else "empty-answer"
        if reason:
            tally.omit(conversation.source, ANSWERED, reason, OmissionCase(uri=conversation.uri))
        else:
            pairs.append(_pair("author-vs-sample", conversation, sample))
    return pairs


def _against_others(conversations: Sequence[Conversation]) -> Iterator[PreferencePair]:
    """Pairs of a conversation's answer and that of the next conversation, which is about something else; the order is random."""
    for conversation, other in zip(conversations, [*conversations[1:], *conversations[:1]], strict=True):
        if _answer(other) != _answer(conversation):
            yield _pair("right-vs-other", conversation, _answer(other))


def _pair(kind: str, conversation: Conversation, rejected: str) -> PreferencePair:
    return PreferencePair(
        id=identifier(kind, conversation.id),
        kind=kind,
        prompt=conversation.messages[0]["content"],
        chosen=_answer(conversation),
        rejected=rejected,
        source=conversation.source,
        group=conversation.group,
        uri=conversation.uri,
    )


def _answer(conversation: Conversation) -> str:
    return conversation.messages[1]["content"]


def _from_files(
    files: Sequence[JsonlSource], conversations: Mapping[str, Sequence[Conversation]], config: PreferencePairsConfig
) -> dict[str, list[PreferencePair]]:
    """The user's pairs by split, in a random order. A group that occurs in the conversations keeps its split."""
    pairs: list[PreferencePair] = []
    preferences: list[tuple[str, str | None]] = []
    for file in files:
        for line, (pair, preferred) in file.rows(parse_line):
            named = {"id": identifier(file.name, line), "source": file.name, "uri": f"{file.name}#{line}"}
            pairs.append(dataclasses.replace(pair, **named))
            preferences.append((pair.group, preferred))
    decided = {conversation.group: split for split, members in conversations.items() for conversation in members}
    splits = SplitAssignment(decided, config.validation_share).assign(preferences)
    return {split: [pair for pair in in_order(pairs, config.seed) if splits[pair.group] == split] for split in SPLITS}


def parse_line(row: Mapping[str, Any]) -> tuple[PreferencePair, str | None]:
    """The pair of a line, without id and source, and the split that the line requests. Raises `BadLineError`."""
    prompt, chosen, rejected = (text_field(row, name) for name in ("prompt", "chosen", "rejected"))
    if chosen.split() == rejected.split():
        raise BadLineError(EQUAL_ANSWERS, "`chosen` and `rejected` are equal, apart from white space")
    pair = PreferencePair(
        id="",
        kind="user",
        prompt=prompt,
        chosen=chosen,
        rejected=rejected,
        source="",
        group=text_field(row, "group", "") or identifier(prompt),
    )
    return pair, preferred_split(row)

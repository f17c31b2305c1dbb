"""Preference pairs: the authors' words against the SFT model's own sample or another function's words, and a user's own pairs."""

import dataclasses
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from components.alignment.config import PreferencePairsConfig
from components.alignment.jsonl import BadLineError, JsonlSource, text_field, write_evidence
from components.alignment.records import Conversation, PreferencePair, identifier, read_conversations, write_records
from components.alignment.samples import Sampler
from components.alignment.sides import Sides, wished_side
from components.errors import SourceError
from components.names import SPLITS
from components.ports import Metrics

TASKS = ("describe", "user")
"""Tasks that embedded pairs are made of. The others are answered by code, of which much that differs is as right."""


def make_preference_pairs(
    config: PreferencePairsConfig, *, conversations: Path, checkpoint: Path, output: Path, metrics: Metrics
) -> dict[str, Any]:
    """Write `{train,validation}.jsonl`, `raw.parquet` (the user's files) and the metrics tables; returns the figures.

    Embedded pairs are made of conversations with one question; each stays on its conversation's side. `checkpoint` is the SFT
    model, from which answers are sampled; it is not read unless the kind "author-vs-sample" is asked for.

    Raises:
        SourceError: a file that cannot be read as promised, or no pair for one of the sides.
        ConfigError: samples as long as the model's context.
    """
    files = [JsonlSource(uri, config.max_bad_lines) for uri in config.sources]
    talks = {split: read_conversations(conversations, split) for split in SPLITS}
    users = _users(files, talks, config)
    sampler = Sampler.load(checkpoint, config, metrics) if "author-vs-sample" in config.kinds else None
    splits = {}
    for split, number in zip(SPLITS, (config.max_pairs_per_kind, config.max_validation_pairs_per_kind), strict=True):
        asked = _drawn(talks[split], number, config.seed)
        pairs = [*_against_samples(asked, sampler), *(_against_others(asked) if "right-vs-other" in config.kinds else ())]
        pairs += users[split][:number]
        splits[split] = sorted(pairs, key=lambda pair: pair.id)
        if not pairs:
            raise SourceError(f"preference pairs: none for {split}; add kinds, sources or conversations with one question")
    write_records("preference_pairs", splits, output)
    write_evidence(files, output)
    counts = {f"{split}/{kind}": n for split in SPLITS for kind, n in sorted(Counter(p.kind for p in splits[split]).items())}
    return counts | {"refused_lines": sum(len(file.refusals) for file in files)}


def _drawn(talks: Sequence[Conversation], number: int, seed: int) -> list[Conversation]:
    """The conversations that pairs are made of, in an order drawn by the seed."""
    single = [talk for talk in talks if talk.task in TASKS and len(talk.messages) == 2]
    return sorted(single, key=lambda talk: identifier(seed, talk.id))[:number]


def _against_samples(asked: Sequence[Conversation], sampler: Sampler | None) -> Iterator[PreferencePair]:
    """The answer against the model's own; none where the two are the same, or the model says nothing."""
    for talk, sample in sampler.answers(asked) if sampler else ():
        if sample and sample != _answer(talk):
            yield _pair("author-vs-sample", talk, sample)


def _against_others(asked: Sequence[Conversation]) -> Iterator[PreferencePair]:
    """The answer against that of the next conversation, which is about something else; as the order is drawn, so is the other."""
    for talk, other in zip(asked, [*asked[1:], *asked[:1]], strict=True):
        if _answer(other) != _answer(talk):
            yield _pair("right-vs-other", talk, _answer(other))


def _pair(kind: str, talk: Conversation, rejected: str) -> PreferencePair:
    return PreferencePair(
        id=identifier(kind, talk.id),
        kind=kind,
        prompt=talk.messages[0]["content"],
        chosen=_answer(talk),
        rejected=rejected,
        source=talk.source,
        group=talk.group,
    )


def _answer(talk: Conversation) -> str:
    return talk.messages[1]["content"]


def _users(
    files: Sequence[JsonlSource], talks: Mapping[str, Sequence[Conversation]], config: PreferencePairsConfig
) -> dict[str, list[PreferencePair]]:
    """The user's pairs by side, in an order drawn by the seed; a group that the conversations know stays on its side."""
    found: list[tuple[PreferencePair, str | None]] = []
    for file in files:
        for line, (pair, wish) in file.rows(_parse):
            placed = dataclasses.replace(pair, id=identifier(file.uri, line, pair.id), source=file.uri)
            found.append((placed, wish))
    decided = {talk.group: split for split, some in talks.items() for talk in some}
    side = Sides(decided, config.validation_share).split((pair.group, wish) for pair, wish in found)
    order = sorted((pair for pair, _ in found), key=lambda pair: identifier(config.seed, pair.id))
    return {split: [pair for pair in order if side[pair.group] == split] for split in SPLITS}


def _parse(row: Mapping[str, Any]) -> tuple[PreferencePair, str | None]:
    """The pair on a line, yet without source, and the side that the line names. Raises `BadLineError`."""
    prompt, chosen, rejected = (text_field(row, name) for name in ("prompt", "chosen", "rejected"))
    if chosen == rejected:
        raise BadLineError("`chosen` and `rejected` are the same")
    pair = PreferencePair(
        id=identifier(prompt, chosen, rejected),
        kind="user",
        prompt=prompt,
        chosen=chosen,
        rejected=rejected,
        source="",
        group=text_field(row, "group", identifier(prompt)),
    )
    return pair, wished_side(row)

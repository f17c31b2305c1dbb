"""Answers of a model to the prompts of conversations."""

from dataclasses import replace
from pathlib import Path

import pytest

from components.alignment.config import PreferencePairsConfig
from components.alignment.records import Conversation
from components.alignment.samples import ANSWERED, Sampler
from components.artifacts import OmissionTally
from components.errors import ConfigError
from components.ports import RecordedMetrics, SilentMetrics

CONFIG = PreferencePairsConfig(max_new_tokens=8, batch_size=2)


def asking(question: str) -> Conversation:
    """A conversation whose first message is `question`."""
    messages = [{"role": "user", "content": question}, {"role": "assistant", "content": "the author's own"}]
    return Conversation(id=question, messages=messages, source="s", uri="u", group="g", licence="MIT", task="user")


CONVERSATIONS = [asking(f"What is {number}?") for number in range(5)]


def test_each_conversation_comes_once_in_order_with_an_answer_of_the_model(base: Path) -> None:
    answers = list(Sampler.load(base, CONFIG, SilentMetrics(), OmissionTally()).answers(CONVERSATIONS))
    assert [conversation for conversation, _ in answers] == CONVERSATIONS
    assert all(answer == answer.strip() != "the author's own" for _, answer in answers)


def test_samples_depend_on_the_seed_and_the_most_likely_answer_does_not(base: Path) -> None:
    sampler = Sampler.load(base, CONFIG, SilentMetrics(), OmissionTally())
    greedy = replace(sampler, config=replace(CONFIG, temperature=0.0))
    first, again, other = (list(replace(sampler, config=replace(CONFIG, seed=seed)).answers(CONVERSATIONS)) for seed in (1, 1, 2))
    assert first == again != other
    assert list(greedy.answers(CONVERSATIONS)) == list(
        replace(greedy, config=replace(greedy.config, seed=9)).answers(CONVERSATIONS)
    )


def test_a_prompt_without_room_for_an_answer_is_left_out_and_not_counted(base: Path) -> None:
    metrics, tally = RecordedMetrics(), OmissionTally()
    tally.add("s", ANSWERED, 3)
    long = asking("What is " + "1 2 3 4 " * 60 + "?")
    answers = list(Sampler.load(base, CONFIG, metrics, tally).answers([CONVERSATIONS[0], long, CONVERSATIONS[1]]))
    assert [conversation for conversation, _ in answers] == CONVERSATIONS[:2]
    assert metrics.seen == [(2, 2, "samples")]
    (row,) = tally.omissions().rows
    assert (row.source, row.reason, row.count, row.total) == ("s", "too-long", 1, 3)
    assert row.setting == "preference_pairs.max_new_tokens"


def test_answers_as_long_as_the_context_are_refused(base: Path) -> None:
    with pytest.raises(ConfigError, match=r"max_new_tokens is 192; allowed: below the model's context of 192"):
        Sampler.load(base, replace(CONFIG, max_new_tokens=192), SilentMetrics(), OmissionTally())

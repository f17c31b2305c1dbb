"""Items are cut from held-out text alone, deterministically, with the right option where it says."""

import dataclasses
import random

from components.artifacts import Conversation, PreferencePair
from components.evaluation import held_out, items
from components.evaluation.config import EvaluationConfig
from tests.components.evaluation import conftest

CONFIG = EvaluationConfig(max_items_per_task=20, max_context_characters=200, max_answer_characters=60)


def chat(message):
    return f"User: {message}\n\nAssistant:"


def build(world, **changes):
    config = dataclasses.replace(CONFIG, **changes)
    return items.build(config, corpus=world.corpus, conversations=world.conversations, pairs=world.pairs, chat=chat)


def test_the_same_seed_gives_the_same_items_and_another_seed_others(world):
    assert build(world) == build(world)
    assert build(world) != build(world, seed=1)


def test_every_task_has_items(world):
    tasks = build(world)
    assert {name: len(rows) for name, rows in tasks.choices.items()} == {
        "continuation-choice": 20,
        "answer-choice": 10,
        "preferred-answer": 6,
    }
    assert len(tasks.completions["final-word"]) == 20


def test_the_right_option_continues_the_document_and_the_others_do_not(world):
    texts = [d.text for name in ("code", "prose") for d in held_out.documents(world.corpus, name)]
    for row in build(world).choices["continuation-choice"]:
        continued = [any(row["context"] + option in text for text in texts) for option in row["choices"]]
        assert [number for number, true in enumerate(continued) if true] == [row["gold"]]
        assert len(row["context"]) <= 200
        assert all(option[0].isspace() and len(option) <= 60 for option in row["choices"])


def test_wrong_options_come_from_other_groups(world):
    groups = {}
    for name in ("code", "prose"):
        for document in held_out.documents(world.corpus, name):
            groups[document.text] = document.group
    owner = lambda option: {group for text, group in groups.items() if option in text}  # noqa: E731
    for row in build(world).choices["continuation-choice"]:
        right = owner(row["context"])
        assert all(owner(option) != right for number, option in enumerate(row["choices"]) if number != row["gold"])


def test_answers_are_asked_for_in_the_chat_format(world):
    row = build(world).choices["answer-choice"][0]
    assert row["context"] == chat("What does the function alpha do?")
    assert row["choices"][row["gold"]].startswith(" Return the")


def test_a_preference_item_offers_the_chosen_and_the_rejected_answer(world):
    row, pair = build(world).choices["preferred-answer"][0], PreferencePair.read(world.pairs, "validation")[0]
    assert row["choices"][row["gold"]] == " " + pair.chosen
    assert row["choices"][1 - row["gold"]] == " " + pair.rejected


def test_a_final_word_is_in_its_context_and_the_prompt_stops_before_it(world):
    for row in build(world).completions["final-word"]:
        assert row["gold"] in row["context"]
        assert not row["context"].endswith((row["gold"], " "))
        assert 0 < row["chance"] <= 1


def test_a_task_without_enough_other_answers_is_left_out(world, tmp_path):
    Conversation.write(Conversation.read(world.conversations, "validation")[:3], tmp_path, "validation")
    tasks = build(dataclasses.replace(world, conversations=tmp_path))
    assert "answer-choice" not in tasks.choices
    assert "continuation-choice" in tasks.choices


def test_a_pair_whose_answers_do_not_differ_is_left_out(world, tmp_path):
    pair = PreferencePair.read(world.pairs, "validation")[0]
    PreferencePair.write([dataclasses.replace(pair, rejected=pair.chosen)], tmp_path, "validation")
    assert "preferred-answer" not in build(dataclasses.replace(world, pairs=tmp_path)).choices


def test_only_documents_long_enough_to_be_cut_give_items(tmp_path):
    conftest.write_documents(tmp_path, "code", ["x" * 2000, "short one"])
    assert list(items._continuations(CONFIG, "code", tmp_path)) == []


def test_long_documents_are_cut_in_several_places_after_all_were_cut_in_the_middle(world):
    spans = list(items._spans(CONFIG, "prose", world.corpus))
    ids = [document.id for document in held_out.documents(world.corpus, "prose")]
    assert [document.id for document, *_ in spans[: len(ids)]] == ids
    assert len(spans) > 2 * len(ids)
    assert len({(document.id, start) for document, start, _ in spans}) == len(spans)


def test_no_line_is_asked_for_twice(world):
    words = build(world, max_items_per_task=100).completions["final-word"]
    assert len({row["context"] for row in words}) == len(words) > 24


def test_shortening_cuts_between_words():
    assert items.shorten("one two three", 20) == "one two three"
    assert items.shorten("one two three", 9) == "one two"
    assert items.shorten("one\ntwo three", 5) == "one"
    assert items.shorten("x" * 30, 10) == "x" * 10


def test_options_are_dealt_evenly_over_many_items():
    positions = [items._shuffled("", ["right", "a", "b", "c"], random.Random(seed))["gold"] for seed in range(400)]
    assert all(70 < positions.count(position) < 130 for position in range(4))

"""Instructions from what authors wrote about their functions."""

from dataclasses import replace

import pytest

from components.alignment.config import ConversationsConfig
from components.alignment.instructions import TEMPLATES, instructions, summarise
from components.python_environment import distributions, functions

CONFIG = ConversationsConfig(distributions=("typer", "rich"), max_instructions_per_distribution=60)


@pytest.mark.parametrize(
    ("docstring", "summary"),
    [
        ("Open the file and\nread it whole.\n\nMore about it.", "Open the file and read it whole."),
        ("Return the number of rows.\nArgs:\n    x: a table", "Return the number of rows."),
        ("Return the number of rows.\n:param x: a table", "Return the number of rows."),
        ("Returns the number of rows.\n>>> rows(t)", "Returns the number of rows."),
        ("Parameters\n----------\nx", ""),
        ("Deprecated.", ""),
        ("solve(a, b) -> x with a x = b", ""),
        ("| a | table | of | three | things |", ""),
        ("Supercalifragilisticexpialidocious", ""),
    ],
)
def test_a_summary_is_the_first_paragraph_or_nothing(docstring: str, summary: str) -> None:
    assert summarise(docstring) == summary


def test_each_instruction_holds_the_authors_words_on_one_side_and_the_function_on_the_other() -> None:
    (rich,) = distributions(("rich",))
    known = {(function.uri, function.name): function for function in functions(rich)}
    by_uri = {uri: function for (uri, _), function in known.items()}
    for summary, conversation in instructions(rich, CONFIG):
        function = by_uri[conversation.uri]
        question, answer = (message["content"] for message in conversation.messages)
        assert summary == summarise(function.docstring)
        if conversation.task == "describe":
            assert function.signature in question
            assert answer == summary
        else:
            assert summary in question
            assert answer == (f"{function.signature}:" if conversation.task == "declare" else function.code)
        assert (conversation.group, conversation.licence, conversation.source) == ("rich", "MIT", "python-environment:")


def test_every_task_and_wording_comes_up() -> None:
    conversations = [
        conversation for name in distributions(CONFIG.distributions) for _, conversation in instructions(name, CONFIG)
    ]
    assert {conversation.task for conversation in conversations} == set(TEMPLATES)
    assert len({message["content"][:12] for conversation in conversations for message in conversation.messages[:1]}) > 12


def test_a_distribution_gives_no_more_than_its_cap_and_no_summary_twice() -> None:
    (rich,) = distributions(("rich",))
    summaries = [summary for summary, _ in instructions(rich, replace(CONFIG, max_instructions_per_distribution=7))]
    assert len(summaries) == len(set(summaries)) == 7


def test_long_prompts_and_answers_are_left_out() -> None:
    (rich,) = distributions(("rich",))
    config = replace(CONFIG, max_prompt_characters=120, max_answer_characters=60)
    sizes = [[len(message["content"]) for message in conversation.messages] for _, conversation in instructions(rich, config)]
    assert sizes
    assert all(question <= 120 and answer <= 60 for question, answer in sizes)


def test_the_seed_draws_other_functions_and_wordings() -> None:
    (rich,) = distributions(("rich",))
    first, again, other = (list(instructions(rich, replace(CONFIG, seed=seed))) for seed in (1, 1, 2))
    assert first == again != other

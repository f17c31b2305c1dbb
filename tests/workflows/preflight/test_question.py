"""A problem is the error that a stage would raise, with the field to change."""

from components.errors import SourceError
from workflows.preflight.question import Problem, problems_of


def failing() -> None:
    raise SourceError("x.jsonl: no such\nfile")


def test_an_error_of_ours_is_a_problem_of_the_field_in_one_line() -> None:
    assert [str(problem) for problem in problems_of("conversations.sources.0", failing)] == [
        "conversations.sources.0: x.jsonl: no such file"
    ]
    assert list(problems_of("name", lambda: None)) == []


def test_without_a_field_the_error_names_it() -> None:
    assert str(Problem("", SourceError("name is bad"))) == "name is bad"

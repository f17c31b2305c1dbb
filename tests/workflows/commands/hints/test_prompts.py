"""Example prompts suit the domains and the conversations of a run."""

import shutil

import pytest

from infra.settings import Settings
from tests.workflows.commands.hints.conftest import MakeRun
from workflows.commands.hints import CODE, OTHER, example_message, example_prompt
from workflows.commands.hints.prompts import first_words


@pytest.mark.parametrize(
    ("domain", "text", "prompt"),
    [
        ("law", "\n  Be it enacted.\nBy whom?", "Be it enacted."),
        ("law", "Whoever without being authorised to do so takes away a thing", "Whoever without being authorised to do"),
        ("chinese", "大学之道，在明明德，在亲民，在止于至善。" * 4, ("大学之道，在明明德，在亲民，在止于至善。" * 4)[:40]),
        ("code", "import this", CODE),
        ("code-rust", "fn main() {}", CODE),
    ],
)
def test_the_prompt_is_the_beginning_of_a_held_out_document_of_the_largest_domain_or_of_code(
    domain: str, text: str, prompt: str, settings: Settings, make_run: MakeRun
) -> None:
    assert example_prompt(make_run("curation", domain=domain, text=text), settings.store) == prompt


def test_a_corpus_that_is_gone_gives_a_prompt_all_the_same(settings: Settings, make_run: MakeRun) -> None:
    journal = make_run("curation", "conversations", messages=("Why?",))
    shutil.rmtree(settings.home / "artifacts")
    assert example_prompt(journal, settings.store) == OTHER
    assert example_message(journal, settings.store) == ""


def test_the_message_is_the_first_held_out_one_that_fits_into_a_line(settings: Settings, make_run: MakeRun) -> None:
    journal = make_run("conversations", messages=("long " * 40, "two\nlines", "What is a tort?", "Why?"))
    assert example_message(journal, settings.store) == "What is a tort?"


def test_without_conversations_there_is_no_message(settings: Settings, make_run: MakeRun) -> None:
    assert example_message(make_run("curation"), settings.store) == ""


def test_a_text_of_blanks_has_no_words() -> None:
    assert first_words(" \n\t\n") == ""

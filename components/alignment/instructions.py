"""Makes instructions from the docstrings of Python functions.

There are three tasks: describe a function, declare a function for a description, implement a function for a description.
"""

import dataclasses
import hashlib
import re
from collections.abc import Iterator

from components.alignment.config import ConversationsConfig
from components.alignment.records import identifier
from components.artifacts import Conversation
from components.python_environment import Distribution, Function, functions

SOURCE = "python-environment:"

TEMPLATES = {
    "describe": (
        "What does this Python function do?\n\n{signature}",
        "Describe this function of {module} in a sentence or two.\n\n{signature}",
        "Write the first paragraph of a docstring for\n\n{signature}",
        "I found this in {module}. What is it for?\n\n{signature}",
    ),
    "declare": (
        "Write the first line of a Python function for this description.\n\n{summary}",
        "{summary}\n\nDeclare a Python function that does this.",
        "How would {module} declare the function that its authors describe like this?\n\n{summary}",
        "Which signature would you give this function? {summary}",
    ),
    "implement": (
        "Write a Python function for this description.\n\n{summary}",
        "{summary}\n\nImplement this in Python.",
        "Implement this as in {module}. {summary}",
        "Write the code of a function with this docstring: {summary}",
    ),
}
"""Wordings of the prompt of each task."""

MIN_SUMMARY_CHARACTERS = 20
"""Minimum characters of a summary; shorter ones are not descriptions ("Deprecated.", "See above.")."""

SECTION = re.compile(
    r":\w|@\w|>>>|\.\. |={3}|-{3}|(args|arguments|parameters|params|returns?|raises|yields|examples?|notes?|usage)\b:?\s*$",
    re.IGNORECASE,
)
"""Lines that end the prose of a docstring: fields of Sphinx and Javadoc, doctests, directives, underlines, and section names of
the Google and NumPy styles."""


def instructions(distribution: Distribution, config: ConversationsConfig) -> Iterator[tuple[str, Conversation]]:
    """Up to `config.max_instructions_per_distribution` pairs of a docstring summary and an instruction; summaries do not repeat.

    Files are parsed in a random order and only until there are enough instructions, because parsing takes most of the time.
    """
    seen: set[str] = set()
    for file in sorted(distribution.modules, key=lambda file: identifier(config.seed, file.sha256 or file.path)):
        for function in functions(dataclasses.replace(distribution, modules=(file,))):
            summary = summarise(function.docstring)
            conversation = _instruction(function, summary, config) if summary and summary not in seen else None
            if conversation is None:
                continue
            seen.add(summary)
            yield summary, conversation
            if len(seen) == config.max_instructions_per_distribution:
                return


def summarise(docstring: str) -> str:
    """The first paragraph of a docstring in one line; empty if it does not look like a sentence about the function."""
    lines: list[str] = []
    for line in docstring.splitlines():
        if not line.strip() or SECTION.match(line.strip()):
            break
        lines.append(line.strip())
    summary = " ".join(lines)
    # "Foo(a, b) -> c" repeats the signature; text that does not start with a letter is a table or markup.
    prose = len(summary) >= MIN_SUMMARY_CHARACTERS and summary[0].isalpha() and "->" not in summary and summary.count(" ") >= 2
    return summary if prose else ""


def _instruction(function: Function, summary: str, config: ConversationsConfig) -> Conversation | None:
    """A conversation about the function, with a task and wording selected by its hash; None if it is too long."""
    drawn_by = identifier(config.seed, function.name, function.signature, function.docstring, function.code)
    draw = hashlib.sha256(drawn_by.encode()).digest()
    task = _task(function, draw[0] / 256, config)
    module = function.name.rpartition(".")[0]
    answer = {"describe": summary, "declare": f"{function.signature}:", "implement": function.code}[task]
    template = TEMPLATES[task][draw[1] % len(TEMPLATES[task])]
    prompt = template.format(signature=function.signature, module=module, summary=summary)
    if len(prompt) > config.max_prompt_characters or len(answer) > config.max_answer_characters:
        return None
    return Conversation(
        id=identifier(function.uri, function.name, task),
        messages=[{"role": "user", "content": prompt}, {"role": "assistant", "content": answer}],
        source=SOURCE,
        uri=function.uri,
        group=function.distribution,
        licence=function.licence,
        task=task,
    )


def _task(function: Function, draw: float, config: ConversationsConfig) -> str:
    """The task for a random number `draw` from 0 to 1: "describe", "declare" or, if the code is short, "implement"."""
    if draw < config.describe_share:
        return "describe"
    short = len(function.code) <= config.max_answer_characters
    return "implement" if short and draw >= (1 + config.describe_share) / 2 else "declare"

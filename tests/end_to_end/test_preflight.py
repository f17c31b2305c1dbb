"""One mistake in each of a user's files, and in the name of the model, are all named before anything runs."""

import gzip
import json
from pathlib import Path

import pytest

from tests.end_to_end.test_bad_input import longrun
from tests.end_to_end.test_own_data import rows, write_recipe

pytestmark = pytest.mark.long


def broken(folder: Path) -> None:
    """Replace the user's files by files with one mistake each."""
    texts, chats, pairs, quiz = (rows(file) for file in ("texts.jsonl.gz", "chats.jsonl", "pairs.jsonl", "quiz.jsonl"))
    (folder / "texts.jsonl.gz").write_bytes(gzip.compress("".join(json.dumps(row) + "\n" for row in texts).encode())[:-100])
    (folder / "chats.jsonl").write_text("".join(json.dumps({"conversation": row["messages"]}) + "\n" for row in chats))
    (folder / "pairs.jsonl").write_text("\n".join([json.dumps(pairs[0]), *["{"] * 3]))
    (folder / "quiz.jsonl").write_text("".join(json.dumps(row | {"gold": "c"}) + "\n" for row in quiz))


def test_every_mistake_is_named_at_once_with_its_field_before_there_is_a_run(tmp_path: Path) -> None:
    write_recipe(tmp_path)
    broken(tmp_path)
    ended = longrun("run", "mine.py", "--set", "name=modèle", "--home", "home", cwd=tmp_path)
    first, *lines = ended.stderr.splitlines()
    assert ended.returncode == 1
    assert first == "longrun: 5 problems, found before the run:"
    expected = {
        "curation.sources.": "texts.jsonl.gz: cannot be read to its end",
        "conversations.sources.0: ": "no usable line; the first is line 1: `messages` is missing; the line has 'conversation'",
        "preference_pairs.sources.0: ": "3 of 4 lines cannot be used; allowed: 50 % (checks.preference_pairs.max_omitted_share)",
        "evaluation.benchmarks.": "30 of 30 items cannot be used (30 wrong-answer)",
        "registration.name: ": "'modèle'; allowed: letters",
    }
    for field, message in expected.items():
        (line,) = (line.strip() for line in lines if line.strip().startswith(field))
        assert message in line
    assert not (tmp_path / "home" / "runs").exists()

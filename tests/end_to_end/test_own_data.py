"""A user's own data, as the README shows it: text, conversations, preference pairs and a benchmark."""

import gzip
import json
import re
from operator import attrgetter
from pathlib import Path
from typing import Any

import pytest

from tests.end_to_end.commands import artifact_directory, as_json, ran
from tests.paths import ROOT
from workflows.recipe import load_recipe

README = ROOT / "README.md"

WORDS = ("river", "stone", "letter", "garden", "winter", "market", "signal", "bridge", "window", "travel", "answer", "paper")


def recipe_of_the_readme() -> str:
    (code,) = [block for block in re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL) if "def mine" in block]
    return str(code).replace("recipes.smoke import smoke", "recipes.tiny import tiny").replace("base = smoke()", "base = tiny()")


def text(number: int) -> str:
    """Some 2 000 characters of sentences that differ from document to document."""
    sentences = []
    for line in range(40):
        picked = [WORDS[(number * 7 + line * 3 + position * (number % 11 + 2)) % len(WORDS)] for position in range(7)]
        sentences.append(f"The {' '.join(picked)} was number {number * 40 + line}.")
    return " ".join(sentences)


def question(number: int) -> str:
    """A question of enough words to be searched for in documents."""
    return (
        f"Which word comes after the {WORDS[number % 12]} and before the {WORDS[number % 7]} in line {number} of the old letter?"
    )


def rows(file: str) -> list[dict[str, Any]]:
    """What a user's file holds. Each kind has the fields that the README shows."""
    match file:
        case "texts.jsonl.gz":
            return [{"text": text(number)} for number in range(300)]
        case "chats.jsonl":
            return [
                {
                    "messages": [
                        {"role": "user", "content": question(n)},
                        {"role": "assistant", "content": f"It is {WORDS[n % 11]}."},
                    ]
                }
                for n in range(100, 130)
            ]
        case "pairs.jsonl":
            return [{"prompt": question(n), "chosen": f"It is {WORDS[n % 11]}.", "rejected": "No idea."} for n in range(200, 400)]
        case _:
            return [{"question": question(n), "choices": [" yes", " no"], "gold": n % 2} for n in range(30)]


FILES = ("texts.jsonl.gz", "chats.jsonl", "pairs.jsonl", "quiz.jsonl")


def write_recipe(folder: Path) -> Path:
    """Write `mine.py` of the README into `folder`, and beside it the files that it reads."""
    for file in FILES:
        lines = "".join(json.dumps(row) + "\n" for row in rows(file)).encode()
        (folder / file).write_bytes(gzip.compress(lines) if file.endswith(".gz") else lines)
    (folder / "mine.py").write_text(recipe_of_the_readme())
    return folder / "mine.py"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    write_recipe(tmp_path)
    return tmp_path / "home"


def test_the_readme_shows_a_line_of_each_file_that_its_recipe_reads() -> None:
    shown = dict(re.findall(r"^\| `([\w.]+)` \| `(.*)` \|$", README.read_text(), re.MULTILINE))
    assert set(shown) >= set(FILES)
    for file in FILES:
        assert json.loads(shown[file]).keys() == rows(file)[0].keys()
        assert f'"{file}"' in recipe_of_the_readme()


def test_the_readme_s_recipe_adds_its_files_to_what_the_recipe_reads(tmp_path: Path) -> None:
    recipe = load_recipe(str(write_recipe(tmp_path)))
    assert recipe.curation.sources[-1].uri == "texts.jsonl.gz"
    assert sum(source.weight for source in recipe.curation.sources[:-1]) == pytest.approx(1.0)
    assert (recipe.conversations.sources, recipe.preference_pairs.sources) == (("chats.jsonl",), ("pairs.jsonl",))
    assert recipe.curation.filtering.benchmarks[0].name == recipe.evaluation.benchmarks[0].name == "quiz"


def test_the_page_on_recipes_has_the_minimums_of_smoke() -> None:
    page = (ROOT / "workflows" / "recipes.md").read_text(encoding="utf-8")
    minimums = re.findall(r"\| (\d+)\b[^|]* \| `checks\.([\w.]+)` \|$", page, re.MULTILINE)
    assert len(minimums) == 4
    for minimum, field in minimums:
        assert attrgetter(field)(load_recipe("smoke").checks) == int(minimum), field


@pytest.mark.ray
def test_the_readme_s_recipe_makes_token_shards_of_a_user_s_text(home: Path) -> None:
    ran("run", "mine.py", "--until", "tokenizer", home=home)
    shards = artifact_directory(home, "token_shards")
    assert json.loads((shards / "index.json").read_text())["splits"]["train"]["mine"]["documents"] > 200
    assert json.loads((shards / "mixture.json").read_text())["shares"]["mine"] == pytest.approx(0.5)


@pytest.mark.ray
@pytest.mark.slow
def test_the_readme_s_recipe_trains_on_all_files_and_asks_the_benchmark(home: Path) -> None:
    ran("run", "mine.py", home=home)
    assert [model["model"] for model in as_json("models", home=home)] == ["mine/1"]
    assert (artifact_directory(home, "pretraining") / "model.safetensors").is_file()
    for step, words in (("conversations", "in line 1"), ("preference_pairs", "in line 2")):
        assert words in "".join(path.read_text() for path in artifact_directory(home, step).glob("*.jsonl")), step
    report = json.loads((artifact_directory(home, "evaluation") / "report.json").read_text())
    assert {row["model"] for row in report["benchmarks"] if row["task"] == "quiz"} == {"base", "sft", "dpo"}

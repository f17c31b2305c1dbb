"""A user's own data, as the README shows it."""

import gzip
import json
import re
from pathlib import Path

import pytest

from tests.end_to_end.commands import artifact_directory, as_json, ran
from tests.paths import ROOT

pytestmark = pytest.mark.ray

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


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """Beside it the recipe `mine.py` and the file that it reads."""
    with gzip.open(tmp_path / "texts.jsonl.gz", "wt") as stream:
        stream.writelines(json.dumps({"text": text(number)}) + "\n" for number in range(300))
    (tmp_path / "mine.py").write_text(recipe_of_the_readme())
    return tmp_path / "home"


def test_the_example_of_the_readme_makes_token_shards_of_a_users_file(home: Path) -> None:
    ran("run", "mine.py", "--until", "tokenizer", home=home)
    shards = artifact_directory(home, "token_shards")
    assert json.loads((shards / "index.json").read_text())["splits"]["train"]["mine"]["documents"] > 200
    assert json.loads((shards / "mixture.json").read_text())["shares"]["mine"] == pytest.approx(0.5)


@pytest.mark.slow
def test_the_example_of_the_readme_trains_on_a_users_file(home: Path) -> None:
    ran("run", "mine.py", home=home)
    assert (artifact_directory(home, "pretraining") / "model.safetensors").is_file()
    assert [model["model"] for model in as_json("models", home=home)] == ["mine/1"]

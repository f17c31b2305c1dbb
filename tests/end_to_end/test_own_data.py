"""A user's own data, as the README shows it."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.ray

README = Path(__file__).parents[2] / "README.md"

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


def test_the_example_of_the_readme_trains_on_a_users_file(tmp_path: Path) -> None:
    import gzip

    with gzip.open(tmp_path / "texts.jsonl.gz", "wt") as stream:
        stream.writelines(json.dumps({"text": text(number)}) + "\n" for number in range(300))
    (tmp_path / "mine.py").write_text(recipe_of_the_readme())
    command = [sys.executable, "-m", "workflows.cli", "run", "mine.py", "--until", "pretraining", "--home", "home"]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    (index,) = tmp_path.glob("home/artifacts/token_shards/*/index.json")
    assert json.loads(index.read_text())["splits"]["train"]["mine"]["documents"] > 200
    (mixture,) = tmp_path.glob("home/artifacts/token_shards/*/mixture.json")
    assert json.loads(mixture.read_text())["shares"]["mine"] == pytest.approx(0.5)

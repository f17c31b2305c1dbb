"""Code of a recipe's own, as its page shows it: exactly the snippets of that page are run."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from components.artifacts import OmissionTally
from components.checks.corpus import check
from components.evaluation import own_tasks
from tests.components.curation.conftest import run
from tests.end_to_end.commands import artifact_directory, manifest, ran, steps
from tests.end_to_end.test_own_data import text
from tests.paths import ROOT
from workflows.recipe import load_recipe

PAGE = ROOT / "components" / "extensions" / "examples.md"

MAX_LINES = 10
"""Of a snippet that shows a kind, its name and empty lines not counted."""


def snippets() -> dict[str, str]:
    """The Python files that the page shows, by name."""
    blocks = re.findall(r"```python\n# (\w+\.py)\n(.*?)```", PAGE.read_text(), re.DOTALL)
    return {name: code.replace("smoke", "tiny") for name, code in blocks}


def write_recipe(folder: Path) -> Path:
    """Write the recipe of the page into a folder of its own below `folder`, and beside that the files that it reads."""
    for name, code in snippets().items():
        (folder / "recipes").mkdir(exist_ok=True)
        (folder / "recipes" / name).write_text(code)
    advertisements = [f"{text(number)} {'Buy it. ' * 200}" for number in range(500, 510)]
    (folder / "notes").mkdir()
    (folder / "notes" / "all.notes").write_text("----\n".join([*map(text, range(100)), *advertisements, " "]))
    return folder / "recipes" / "own.py"


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    return write_recipe(tmp_path)


@pytest.mark.parametrize("name", ["filters.py", "readers.py", "tasks.py", "checks.py"])
def test_each_kind_takes_at_most_ten_lines(name: str) -> None:
    assert len([line for line in snippets()[name].splitlines() if line.strip()]) <= MAX_LINES


def test_every_snippet_is_loaded_with_the_recipe_and_its_task_can_be_asked(recipe: Path) -> None:
    loaded = load_recipe(str(recipe))
    assert [extension.code for extension in loaded.curation.filtering.filters] == ["filters.py:NoAds"]
    choices = own_tasks.build(loaded.evaluation.tasks, 100, OmissionTally()).choices["doubling"]
    assert (len(choices), choices[0]["choices"]) == (48, [" 4", " 5"])


def test_the_page_s_filter_reader_and_check_work_on_its_own_source(
    recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    loaded = load_recipe(str(recipe))
    figures = run(replace(loaded.curation, sources=loaded.curation.sources[-1:]), tmp_path)
    assert figures["not_kept"] == {"advertisement": 10, "bad-line": 1}
    (tmp_path / "check").mkdir()
    report = check(loaded.checks.corpus, artifact=tmp_path / "corpus", output=tmp_path / "check")
    (own,) = [expectation for expectation in report.expectations if expectation.name.startswith("enough-kept")]
    assert (own.name, own.passed) == ("enough-kept sources: kept_documents is at least 20", True)


@pytest.fixture
def home(recipe: Path, tmp_path: Path) -> Path:
    """A home after curation and its check, run from the folder above the recipe's."""
    ran("run", "recipes/own.py", "--until", "curation", home=tmp_path / "home")
    return tmp_path / "home"


@pytest.mark.ray
def test_the_page_s_filter_reader_and_check_make_a_corpus(home: Path) -> None:
    corpus, check = artifact_directory(home, "curation"), artifact_directory(home, "check_corpus")
    documents = [row for row in pq.read_table(corpus / "metrics" / "documents.parquet").to_pylist() if row["domain"] == "notes"]
    reasons = [row["reason"] for row in documents]
    assert (reasons.count(""), reasons.count("advertisement"), reasons.count("bad-line")) == (100, 10, 1)
    assert "enough-kept sources: kept_documents is at least 20" in (check / "corpus.html").read_text()
    recorded = manifest(home, "curation").config["filtering"]["filters"][0]
    assert [file["path"] for file in recorded["files"]] == ["filters.py"]


@pytest.mark.ray
@pytest.mark.slow
def test_a_changed_comment_reuses_every_step_and_changed_code_those_that_do_not_use_it(home: Path, recipe: Path) -> None:
    def run_again(name: str, old: str, new: str) -> list[str]:
        file = recipe.with_name(name)
        assert old in file.read_text()
        file.write_text(file.read_text().replace(old, new))
        ran("run", "recipes/own.py", "--until", "curation", home=home)
        return steps(home, "made")

    assert run_again("filters.py", "class NoAds:", "# a reason\nclass NoAds:") == []
    assert run_again("tasks.py", "range(2, 50)", "range(2, 60)") == []
    assert run_again("checks.py", '"sources", rows', '"each source", rows') == ["check_corpus"]
    # as often as the other word: the same documents are refused, so what depends on them stays
    assert run_again("filters.py", '"buy"', '"it."') == ["curation"]
    assert run_again("filters.py", '"it."', '"sell"') == ["curation", "check_corpus"]


@pytest.mark.ray
@pytest.mark.slow
def test_the_page_s_task_is_in_report_and_card_of_a_model(recipe: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    ran("run", "recipes/own.py", home=home)
    report = json.loads((artifact_directory(home, "evaluation") / "report.json").read_text())
    assert {row["model"] for row in report["tasks"] if row["task"] == "doubling"} == {"base", "sft", "dpo"}
    assert report["definitions"]["doubling"] == "Which number is twice another?"
    assert "| doubling | acc_norm | dpo |" in (artifact_directory(home, "registration") / "README.md").read_text()

"""Every question of the stages that run is asked, once while its files stay the same, and all problems are one error."""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar

import pytest

from components.curation.config import Source
from components.errors import ConfigError, LongrunError, PreflightError, RecipeRefused, SourceError
from components.file_names import names_files
from infra.settings import Settings
from workflows.preflight import refuse, require_ready, require_submittable
from workflows.preflight.asking import Remembered, problems_with, questions_of
from workflows.preflight.question import Problem, Question
from workflows.recipe import load_recipe
from workflows.sweeps.sweep import load_sweep

ASKED: list[str] = []


@dataclass(frozen=True, kw_only=True)
class IsThere(Question):
    """Does the file contain "good"?"""

    STAGE: ClassVar[str] = "curation"
    IS_REMEMBERED: ClassVar[bool] = True

    uri: str = field(metadata=names_files())

    def problems(self) -> Iterator[Problem]:
        """Read it."""
        ASKED.append(self.uri)
        if not Path(self.uri).is_file() or "good" not in Path(self.uri).read_text():
            yield Problem("uri", SourceError(f"{self.uri} is not good"))


@pytest.mark.parametrize("name", ["tiny", "smoke", "laptop"])
def test_recipes_of_installed_packages_have_no_problem_here(name: str, tmp_path: Path) -> None:
    assert problems_with(questions_of(load_recipe(name)), tmp_path) == []


def test_a_sweep_is_asked_about_its_data(tmp_path: Path) -> None:
    assert problems_with(questions_of(load_sweep("tiny-ladder")), tmp_path) == []


def test_questions_of_stages_that_do_not_run_are_not_asked() -> None:
    recipe = load_recipe("tiny")
    stages = {question.STAGE for question in questions_of(recipe, until="scaling")}
    assert stages == {"curation", "scaling"}
    assert "evaluation" in {question.STAGE for question in questions_of(recipe)}


def test_what_was_found_good_is_not_read_again_until_it_changes(tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    question = IsThere(uri=str(path))
    ASKED.clear()
    assert len(problems_with([question], tmp_path)) == 1
    path.write_text("bad")
    assert len(problems_with([question], tmp_path)) == 1
    path.write_text("good")
    for _ in range(3):
        assert problems_with([question], tmp_path) == []
    assert len(ASKED) == 3
    os.utime(path, ns=(1, 1))
    assert problems_with([question], tmp_path) == []
    assert len(ASKED) == 4


@pytest.mark.parametrize("content", ["", "{", "[]", '{"keys": 3}', '{"keys": ["0"]}'])
def test_a_damaged_memory_is_asked_again_and_mended(content: str, tmp_path: Path) -> None:
    (tmp_path / "file.txt").write_text("good")
    (tmp_path / Remembered.NAME).write_text(content)
    ASKED.clear()
    for _ in range(2):
        assert problems_with([IsThere(uri=str(tmp_path / "file.txt"))], tmp_path) == []
    assert len(ASKED) == 1
    assert json.loads((tmp_path / Remembered.NAME).read_text())["keys"]


def test_one_problem_is_raised_as_its_own_error_and_several_as_one_with_a_line_each() -> None:
    refuse([])
    first, second = Problem("a.b", SourceError("x is\nbad")), Problem("c", LongrunError("y is bad"))
    with pytest.raises(RecipeRefused):
        refuse([Problem("a", ConfigError("x")), Problem("b", ConfigError("y"))])
    with pytest.raises(SourceError, match=r"^a\.b: x is bad$"):
        refuse([first, first])
    with pytest.raises(PreflightError) as raised:
        refuse([first, second])
    assert str(raised.value).splitlines() == ["2 problems, found before the run:", "  a.b: x is bad", "  c: y is bad"]


def test_everything_that_is_wrong_with_a_recipe_is_said_at_once(tmp_path: Path) -> None:
    recipe = load_recipe("tiny")
    missing = replace(recipe.curation.sources[0], uri=str(tmp_path / "absent"), name="absent", distributions=())
    wrong = replace(
        recipe,
        name="modèle",
        curation=replace(recipe.curation, sources=(missing, *recipe.curation.sources[1:])),
        tokenizer=type(recipe.tokenizer)(start=str(tmp_path / "tokenizer")),
        registration=replace(recipe.registration, model="dop"),
    )
    with pytest.raises(PreflightError) as raised:
        require_ready(wrong, Settings(home=tmp_path))
    text = str(raised.value)
    for field_name in ("curation.sources.absent", "tokenizer.start", "registration.name", "registration.model"):
        assert f"\n  {field_name}: " in text
    assert text.startswith("4 problems")


def test_a_submitting_machine_asks_about_its_own_files_alone(tmp_path: Path) -> None:
    recipe = load_recipe("tiny")
    sources = tuple(
        Source(uri=uri, domain="prose", weight=1.0, name=name)
        for uri, name in ((str(tmp_path / "absent"), "here"), ("/sources/there", "there"))
    )
    changed = replace(recipe, curation=replace(recipe.curation, sources=sources))
    with pytest.raises(SourceError, match=r"^curation\.sources\.here: "):
        require_submittable(changed, tmp_path, {"/sources/there"})
    installed = replace(recipe.curation.sources[0], distributions=("not-installed-here",))
    require_submittable(replace(recipe, curation=replace(recipe.curation, sources=(installed,))), tmp_path, ())

"""Sweeps as values: ours by name, a user's by file."""

from dataclasses import replace
from pathlib import Path

import pytest

from components.errors import ConfigError
from workflows.sweeps.sweep import BUILT_IN, load_sweep

MINE = """
from dataclasses import replace
from workflows.sweeps.tiny_ladder import tiny_ladder

def mine():
    return replace(tiny_ladder(), name="mine")
"""


@pytest.mark.parametrize("name", BUILT_IN)
def test_every_built_in_sweep_has_its_name_and_enough_budgets(name: str) -> None:
    sweep = load_sweep(name)
    assert sweep.name == name
    planned = sweep.ladder or sweep.grid
    assert planned is not None
    assert planned.family.vocab_size == sweep.tokenizer.regular_tokens + 15
    assert len({point.budget for point in planned.points()}) >= 3


def test_the_sweep_of_the_text_covers_what_it_plans_for() -> None:
    sweep = load_sweep("python-text")
    assert len(sweep.vocabularies) >= 3
    assert sweep.ladder is not None
    assert sweep.grid is not None
    shapes = [point.plan.shape for point in sweep.ladder.points()]
    assert {shape.n_layer for shape in shapes} == {4}
    assert all(8 <= shape.d_model / shape.n_layer <= 48 for shape in shapes)
    assert 8 <= (sweep.ladder.target or 0) <= 10


def test_a_sweep_in_one_of_its_vocabularies_has_a_tokenizer_and_a_ladder_of_that_size() -> None:
    single = load_sweep("tiny-text").in_vocabulary(320)
    assert single.ladder is not None
    assert single.tokenizer.vocab_size == single.ladder.family.vocab_size == 320
    assert (single.vocabularies, single.grid) == ((), None)


@pytest.mark.parametrize(
    ("sizes", "words"),
    [
        ((512,), "two or more rising sizes for a ladder, or none"),
        ((512, 320), "two or more rising sizes"),
        ((320, 500), "multiples of tokenizer.vocab_multiple, 64"),
    ],
)
def test_vocabularies_that_make_no_sweep_are_refused(sizes: tuple[int, ...], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        replace(load_sweep("tiny-text"), vocabularies=sizes)


def test_vocabularies_without_a_ladder_are_refused() -> None:
    with pytest.raises(ConfigError, match="rising sizes for a ladder"):
        replace(load_sweep("tiny-grid"), vocabularies=(320, 512))


def test_a_sweep_of_ones_own_is_a_function_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(MINE)
    assert load_sweep(f"{tmp_path}/mine.py").name == "mine"


@pytest.mark.parametrize(
    ("argument", "text", "message"),
    [
        ("python-txt", "", "unknown sweep 'python-txt' .did you mean 'python-text'"),
        ("none.py", "", "sweep file .* does not exist"),
        ("mine.py", "def mine():\n    return 3\n", "returned int; it must return a Sweep"),
        ("mine.py:other", MINE, "unknown function 'other'; allowed: mine"),
        ("mine.py", "def mine():\n    raise ValueError('no')\n", "failed in line 2: ValueError: no"),
    ],
)
def test_what_is_no_sweep_is_refused(argument: str, text: str, message: str, tmp_path: Path) -> None:
    if text:
        (tmp_path / "mine.py").write_text(text)
    with pytest.raises(ConfigError, match=message):
        load_sweep(argument if ".py" not in argument else f"{tmp_path}/{argument}")


def test_what_the_ladder_chooses_cannot_be_chosen_beside_it() -> None:
    sweep = load_sweep("tiny-ladder")
    with pytest.raises(ConfigError, match="one with learning_rate'; allowed: none of these"):
        replace(sweep, pretraining=replace(sweep.pretraining, learning_rate=1e-3))


@pytest.mark.long
def test_a_sweep_without_ladder_and_grid_is_refused() -> None:
    with pytest.raises(ConfigError, match="a ladder, a grid, or both"):
        replace(load_sweep("tiny-grid"), grid=None)

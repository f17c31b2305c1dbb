"""Items that do not fit into a model's context are left out for all models, and named."""

from pathlib import Path
from typing import Any

from components.artifacts import OmissionTally
from components.evaluation.fitting import fitting
from components.evaluation.items import Scoring, Tasks
from components.model import huggingface
from components.model.configuration import read_shape
from components.tokenizer.text_tokenizer import TextTokenizer
from tests.components.evaluation.conftest import Models

LONG = "The alpha beta " * 100


def choice(uri: str, context: str = "a", option: str = " b") -> dict[str, Any]:
    """An item with two options."""
    return {"context": context, "choices": [" c", option], "gold": 0, "uri": uri}


def kept(tasks: Tasks, models: Models, tally: OmissionTally) -> dict[str, list[str]]:
    """Where the items that fit come from, by task."""
    made = fitting(tasks, models.checkpoints.values(), tally)
    return {name: [row.get("uri", "cut") for row in rows] for name, rows in {**made.choices, **made.completions}.items()}


def test_items_whose_prompt_or_longest_option_is_too_long_are_left_out_and_named(models: Models) -> None:
    tally = OmissionTally()
    rows = [choice("q#1"), choice("q#2", context=LONG), choice("q#3", option=f" {LONG}"), choice("q#4")]
    assert kept(Tasks(choices={"quiz": rows}, completions={}), models, tally) == {"quiz": ["q#1", "q#4"]}
    (row,) = tally.omissions().rows
    assert (row.source, row.unit, row.reason, row.count, row.total) == ("quiz", "selected items", "too-long", 2, 4)
    assert row.cases[0].uri == "q#2"
    assert row.cases[0].detail.endswith("tokens; the context has 64")


def test_the_longest_item_that_fits_is_scored_without_cutting(models: Models) -> None:
    tokenizer, context = TextTokenizer.load(models.tokenizer), read_shape(models.checkpoints["base"]).context
    texts = ["alpha" + " beta" * number for number in range(80)]
    lengths = {text: len(tokenizer.encode(text)) + len(tokenizer.encode(" c")) for text in texts}
    rows = [choice(text, context=text, option=" c") for text in texts]
    (uris,) = kept(Tasks(choices={"quiz": rows}, completions={}), models, OmissionTally()).values()
    assert uris == [text for text in texts if lengths[text] <= context]
    assert 0 < len(uris) < len(texts)


def test_a_generated_answer_needs_its_room(models: Models) -> None:
    rows = [{"context": "a", "gold": "b", "chance": 0.0, "uri": "w#1"}]
    tasks = Tasks(choices={}, completions={"words": rows, "essay": rows})
    scoring = {"essay": Scoring(score=lambda *_: 0.0, max_tokens=63, until=())}
    tally = OmissionTally()
    assert kept(Tasks(choices={}, completions=tasks.completions, scoring=scoring), models, tally) == {"words": ["w#1"]}
    assert [row.source for row in tally.omissions().rows] == ["essay"]


def test_a_task_without_items_that_fit_is_none_and_text_cut_from_documents_always_fits(models: Models) -> None:
    cut = {"context": LONG, "choices": [" a", " b"], "gold": 0}
    tasks = Tasks(choices={"quiz": [choice("q#1", context=LONG)], "continuation-choice": [cut]}, completions={})
    assert kept(tasks, models, OmissionTally()) == {"continuation-choice": ["cut"]}


def test_models_that_are_alike_are_asked_once_and_the_smallest_context_decides(models: Models, tmp_path: Path) -> None:
    from components.artifacts import ModelShape
    from components.model.decoder import Decoder, initialise

    shape = ModelShape(n_layer=1, d_model=32, n_head=2, n_kv_head=2, d_ffn=64, vocab_size=304, context=4)
    model = Decoder(shape)
    initialise(model, std=0.02, seed=0)
    huggingface.save(model, models.tokenizer, tmp_path)
    tally = OmissionTally()
    tasks = Tasks(choices={"quiz": [choice("q#1"), choice("q#2", context="alpha beta gamma")]}, completions={})
    made = fitting(tasks, [*models.checkpoints.values(), tmp_path], tally)
    assert [row["uri"] for row in made.choices["quiz"]] == ["q#1"]
    assert tally.totals["quiz", "selected items"] == 4

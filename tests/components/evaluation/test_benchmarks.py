"""Benchmarks that curation searched for become tasks, and what documents held of them is counted and kept apart."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from components.artifacts import Contamination, OmissionTally
from components.curation import FilteringConfig
from components.curation.config import Benchmark, CurationConfig, Source
from components.curation.curate import curate
from components.errors import ArtifactError, ConfigError, MissingArtifact
from components.evaluation import benchmarks
from components.evaluation.config import BenchmarkTask, EvaluationConfig
from components.evaluation.items import Tasks
from components.ports import InProcessShardEngine, SilentMetrics

QUIZ = BenchmarkTask(name="quiz", prompt="Question: {question}\nAnswer:", choices=("right", "wrong"), answer="place")
RECORDS = [{"question": f"What is {number}?", "right": number, "wrong": f"not {number} ", "place": 0} for number in range(5)]


def corpus(directory: Path, records: list[dict[str, Any]], *, held: tuple[int, ...] = (), short: tuple[int, ...] = ()) -> Path:
    """What curation leaves of the benchmark `quiz` in the file `test.jsonl`; each held item is in two documents."""
    items = [
        {"benchmark": "quiz", "file": "test.jsonl", "item": n, "grams": 0 if n in short else 9, "record": json.dumps(record)}
        for n, record in enumerate(records)
    ]
    hits = [
        {"id": f"{document}" * 64, "benchmark": "quiz", "file": "test.jsonl", "item": item, "shared": 1, "share": 0.1}
        for item in held
        for document in "ab"
    ]
    directory.mkdir(exist_ok=True)
    pq.write_table(pa.Table.from_pylist(items), directory / "benchmarks.parquet")
    names = {"id": pa.string(), "benchmark": pa.string(), "file": pa.string(), "item": pa.int64()}
    pq.write_table(pa.Table.from_pylist(hits, pa.schema(names)), directory / "contamination.parquet")
    return directory


def built(task: BenchmarkTask, directory: Path, tally: OmissionTally | None = None, **changes: Any) -> list[dict[str, Any]]:
    """The items of a task, without saying where they come from."""
    tasks = benchmarks.build(EvaluationConfig(benchmarks=(task,), **changes), directory, tally or OmissionTally())
    rows = {**tasks.choices, **tasks.completions}.get(task.name, [])
    assert all("#" in row.pop("uri") for row in rows)
    return rows


def test_an_item_becomes_a_prompt_with_options_and_the_place_of_the_right_one(tmp_path: Path) -> None:
    rows = built(QUIZ, corpus(tmp_path, RECORDS))
    assert {"context": "Question: What is 3?\nAnswer:", "choices": [" 3", " not 3"], "gold": 0, "clean": True} in rows
    assert len(rows) == 5


def test_held_items_and_those_too_short_to_be_found_are_not_clean(tmp_path: Path) -> None:
    rows = built(QUIZ, corpus(tmp_path, RECORDS, held=(1,), short=(4,)))
    assert {row["context"][18:-9] for row in rows if not row["clean"]} == {"1", "4"}


def test_what_documents_held_is_counted(tmp_path: Path) -> None:
    counts = benchmarks.contamination(corpus(tmp_path, RECORDS, held=(1, 2), short=(4,)))
    assert counts == (Contamination(benchmark="quiz", items=5, contaminated=2, not_searched=1, documents=2),)


@pytest.mark.parametrize(
    ("form", "answer", "options"),
    [("number", 1, ["2", "1"]), ("number", "1", ["2", "1"]), ("letter", "B", ["a", "b"]), ("text", "1", ["2", "1 "])],
)
def test_an_answer_names_its_option_in_the_form_that_was_said(tmp_path: Path, form: str, answer: Any, options: Any) -> None:
    task = BenchmarkTask(name="quiz", prompt="{q}", choices=("given.options",), answer="key", answer_form=form)
    (row,) = built(task, corpus(tmp_path, [{"q": "Which?", "given": {"options": options}, "key": answer}]))
    assert (row["gold"], len(row["choices"])) == (1, 2)


def test_without_options_the_model_writes_a_word(tmp_path: Path) -> None:
    task = BenchmarkTask(name="quiz", prompt="{text}", answer="word")
    directory = corpus(tmp_path, [{"text": "a b", "word": " c"}])
    assert built(task, directory) == [{"context": "a b", "gold": "c", "chance": 0.0, "clean": True}]
    tally = OmissionTally()
    assert built(task, corpus(tmp_path, [{"text": "a", "word": "two words"}]), tally) == []
    assert tally.omissions().rows[0].cases[0].detail == "the answer 'two words' is not a single word"


def test_fewer_items_are_drawn_by_the_seed(tmp_path: Path) -> None:
    directory = corpus(tmp_path, RECORDS)
    drawn = [[row["context"] for row in built(QUIZ, directory, max_items_per_task=2, seed=seed)] for seed in range(9)]
    assert drawn[0] == [row["context"] for row in built(QUIZ, directory, seed=0)][:2]
    assert len({tuple(contexts) for contexts in drawn}) > 1


BAD = [
    ({"question": "x"}, "missing-field", "it has no field 'place'; it has question"),
    ({"right": "a", "wrong": "b", "place": 0}, "missing-field", "its prompt needs \"'question'\""),
    ({**RECORDS[0], "place": 2}, "wrong-answer", "the answer 2 is not one of the 2 options"),
    ({**RECORDS[0], "place": -1}, "wrong-answer", "the answer -1 is not one of"),
    ({**RECORDS[0], "place": "zero"}, "wrong-answer", "the answer 'zero' is not a number of an option"),
    ({**RECORDS[0], "place": None}, "wrong-answer", "the answer None"),
    ({**RECORDS[0], "right": " "}, "wrong-choices", "two or more non-empty texts"),
    ({**RECORDS[0], "right": None}, "wrong-choices", "two or more non-empty texts"),
    (["a list"], "wrong-type", "the item is list, not an object"),
]


@pytest.mark.parametrize(("record", "reason", "said"), BAD)
def test_an_item_that_cannot_be_asked_costs_itself_and_is_named(tmp_path: Path, record: Any, reason: str, said: str) -> None:
    tally = OmissionTally()
    assert len(built(QUIZ, corpus(tmp_path, [*RECORDS, record]), tally)) == 5
    (row,) = tally.omissions().rows
    assert (row.source, row.unit, row.reason, row.count, row.total) == ("quiz", "items", reason, 1, 6)
    assert row.cases[0].uri == "test.jsonl#6"
    assert said in row.cases[0].detail


def test_bad_items_take_no_one_elses_place_among_those_that_are_drawn(tmp_path: Path) -> None:
    records = [*RECORDS, *(record for record, _, _ in BAD)]
    assert len(built(QUIZ, corpus(tmp_path, records), max_items_per_task=5)) == 5


def test_a_benchmark_of_bad_items_alone_is_no_task(tmp_path: Path) -> None:
    tally = OmissionTally()
    assert built(QUIZ, corpus(tmp_path, [record for record, _, _ in BAD]), tally) == []
    assert tally.omissions().figures["left_out"] == len(BAD)


def test_a_benchmark_that_was_not_searched_for_is_refused(tmp_path: Path) -> None:
    other = BenchmarkTask(name="other", prompt="{q}", answer="a")
    with pytest.raises(ArtifactError, match=r"benchmark other: curation did not search for it; .* has quiz"):
        built(other, corpus(tmp_path, RECORDS))
    with pytest.raises(MissingArtifact, match=r"benchmarks\.parquet: missing"):
        benchmarks.contamination(tmp_path / "nowhere")


def test_a_benchmark_with_the_name_of_a_local_task_is_refused() -> None:
    local = Tasks(choices={"answer-choice": []}, completions={})
    with pytest.raises(ConfigError, match="name answer-choice, which is the name of another task"):
        local.joined(Tasks(choices={}, completions={"answer-choice": []}))


def test_what_curation_writes_is_what_evaluation_joins(tmp_path: Path) -> None:
    words = "the first question asks which of two very different answers is the one that we look for here"
    records = [{"question": words, "right": "yes", "wrong": "no", "place": 0}, {"question": words[::-1], **RECORDS[0]}]
    records[1]["question"] = " ".join(f"word{number}" for number in range(20))
    (tmp_path / "quiz.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    texts = [f"{number} " + " ".join(f"document{number}x{position}" for position in range(60)) for number in range(30)]
    lines = [json.dumps({"text": text}) + "\n" for text in [*texts, f"{texts[0][::-1]} {words}"]]
    (tmp_path / "web.jsonl").write_text("".join(lines))
    config = CurationConfig(
        sources=(Source(uri=str(tmp_path / "web.jsonl"), domain="web", weight=1.0, language="en"),),
        filtering=FilteringConfig(benchmarks=(Benchmark(name="quiz", uri=str(tmp_path / "quiz.jsonl")),), max_repeated_lines=1.0),
    )
    directory = tmp_path / "corpus"
    curate(config, output=directory, scratch=tmp_path / "scratch", engine=InProcessShardEngine(), metrics=SilentMetrics())
    assert benchmarks.contamination(directory) == (
        Contamination(benchmark="quiz", items=2, contaminated=1, not_searched=0, documents=1),
    )
    assert {row["context"][10:14]: row["clean"] for row in built(QUIZ, directory)} == {"the ": False, "word": True}

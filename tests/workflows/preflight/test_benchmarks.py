"""Benchmarks that curation cannot read, or evaluation cannot present, are found before the run."""

import gzip
import json
from pathlib import Path
from typing import Any

from components.curation.reading.config import Benchmark
from components.evaluation.config import BenchmarkTask, EvaluationConfig
from workflows.preflight.benchmarks import BenchmarkFiles, BenchmarkItems


def said(*benchmarks: Benchmark) -> list[str]:
    return [str(problem) for problem in BenchmarkFiles(benchmarks=benchmarks, max_omitted_share=0.5).problems()]


def test_every_benchmark_is_read_to_its_end(tmp_path: Path) -> None:
    good = [json.dumps({"question": "Why?"})] * 3
    (tmp_path / "good.jsonl").write_text("\n".join([*good, "{"]))
    (tmp_path / "cut.jsonl.gz").write_bytes(gzip.compress("\n".join(good).encode())[:-4])
    (tmp_path / "bad.jsonl").write_text("\n".join([good[0], *["{"] * 3]))
    assert said(Benchmark(name="good", uri=str(tmp_path / "good.jsonl"))) == []
    cut, absent, field, bad = said(
        Benchmark(name="cut", uri=str(tmp_path / "cut.jsonl.gz")),
        Benchmark(name="absent", uri=str(tmp_path / "absent.jsonl")),
        Benchmark(name="field", uri=str(tmp_path / "good.jsonl"), fields=("prompt",)),
        Benchmark(name="bad", uri=str(tmp_path / "bad.jsonl")),
    )
    assert cut.startswith("curation.filtering.benchmarks.cut: benchmark cut: ")
    assert "cannot be read after" in cut
    assert "does not exist" in absent
    assert "no field 'prompt'; it has question" in field
    assert bad.startswith("curation.filtering.benchmarks.bad: bad: 3 of 4 benchmark items cannot be used")
    assert "bad.jsonl#2" in bad
    assert bad.endswith("allowed: 50 % (checks.corpus.max_omitted_share)")


def test_every_item_is_presented_as_evaluation_would(tmp_path: Path) -> None:
    rows = [{"question": "Why?", "options": ["a", "b"], "answer": answer} for answer in (0, 1, "B", 7)]
    (tmp_path / "quiz.jsonl").write_text("\n".join(map(json.dumps, rows)))
    benchmark = Benchmark(name="quiz", uri=str(tmp_path / "quiz.jsonl"))

    def of(**fields: Any) -> list[str]:
        task = BenchmarkTask(**{"name": "quiz", "prompt": "{question}", "answer": "answer", "choices": ("options",)} | fields)
        config = EvaluationConfig(benchmarks=(task,))
        return [
            str(each) for each in BenchmarkItems(benchmarks=(benchmark,), evaluation=config, max_omitted_share=0.5).problems()
        ]

    assert of() == []
    (problem,) = of(answer_form="letter")
    assert problem.startswith(
        "evaluation.benchmarks.quiz: quiz: 3 of 4 items cannot be used (3 wrong-answer); the first is quiz.jsonl#1"
    )
    (problem,) = of(prompt="{query}")
    assert "4 missing-field" in problem
    assert "allowed: 50 % (checks.evaluation.max_omitted_share)" in problem

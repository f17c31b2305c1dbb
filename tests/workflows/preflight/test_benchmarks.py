"""Benchmarks that curation cannot read are found before the run."""

import json
from pathlib import Path

from components.curation.reading.config import Benchmark
from workflows.preflight.benchmarks import BenchmarkFiles


def said(*benchmarks: Benchmark) -> list[str]:
    return [str(problem) for problem in BenchmarkFiles(benchmarks=benchmarks).problems()]


def test_every_benchmark_is_read_to_its_end(tmp_path: Path) -> None:
    (tmp_path / "good.jsonl").write_text(json.dumps({"question": "Why?"}) + "\n")
    (tmp_path / "cut.jsonl").write_text(json.dumps({"question": "Why?"}) + '\n{"question"')
    assert said(Benchmark(name="good", uri=str(tmp_path / "good.jsonl"))) == []
    cut, absent, field = said(
        Benchmark(name="cut", uri=str(tmp_path / "cut.jsonl")),
        Benchmark(name="absent", uri=str(tmp_path / "absent.jsonl")),
        Benchmark(name="field", uri=str(tmp_path / "good.jsonl"), fields=("prompt",)),
    )
    assert cut.startswith("curation.filtering.benchmarks.cut: benchmark cut: ")
    assert "cannot be read after 1 complete items" in cut
    assert "does not exist" in absent
    assert "KeyError: 'prompt'" in field

"""Writes the findings: report.json, report.md, report.html, the metrics tables and the samples."""

import dataclasses
import json
from collections.abc import Iterable, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from components.artifacts import Findings, Omissions
from components.evaluation.findings import DEFINITIONS, share
from components.evaluation.page import render

_SCHEMAS = {
    "bits_per_byte": pa.schema(
        [
            ("model", pa.string()),
            ("domain", pa.string()),
            ("bits_per_byte", pa.float64()),
            ("documents", pa.int64()),
            ("bytes", pa.int64()),
        ]
    ),
    "tasks": pa.schema(
        [
            ("model", pa.string()),
            ("task", pa.string()),
            ("metric", pa.string()),
            ("value", pa.float64()),
            ("items", pa.int64()),
            ("chance", pa.float64()),
            ("clean_value", pa.float64()),
            ("clean_items", pa.int64()),
        ]
    ),
    "contamination": pa.schema(
        [
            ("benchmark", pa.string()),
            ("items", pa.int64()),
            ("contaminated", pa.int64()),
            ("not_searched", pa.int64()),
            ("documents", pa.int64()),
        ]
    ),
    "alignment": pa.schema(
        [
            ("measure", pa.string()),
            ("kind", pa.string()),
            ("before", pa.float64()),
            ("after", pa.float64()),
            ("after_low", pa.float64()),
            ("after_high", pa.float64()),
        ]
    ),
}


_TASKS = "The items are cut from held-out text or come from the recipe's own tasks. They are the same for all models."


def write(findings: Findings, output: Path) -> None:
    """Write all files of an evaluation report into `output`."""
    (output / "metrics").mkdir(parents=True, exist_ok=True)
    for name, schema in _SCHEMAS.items():
        rows = [dataclasses.asdict(row) for row in getattr(findings, name)]
        pq.write_table(pa.Table.from_pylist(rows, schema=schema), output / "metrics" / f"{name}.parquet", compression="zstd")
    Omissions(rows=findings.omissions).write(output)
    samples = "".join(json.dumps(dataclasses.asdict(sample), ensure_ascii=False) + "\n" for sample in findings.samples)
    (output / "samples.jsonl").write_text(samples, encoding="utf-8")
    findings.write(output)
    (output / "report.md").write_text(markdown(findings), encoding="utf-8")
    (output / "report.html").write_text(render(findings), encoding="utf-8")


def markdown(findings: Findings) -> str:
    """The report as Markdown."""
    sections = [
        "# Evaluation",
        _section("Bits per byte on held-out text", DEFINITIONS["bits_per_byte"], bits_table(findings)),
        _section("Tasks", _TASKS, tasks_table(findings)),
        *_benchmark_sections(findings),
        *([_section("Left out", DEFINITIONS["left_out"], _omissions_table(findings))] if findings.omissions else []),
        _section("Before and after alignment", "On held-out conversations and pairs.", _alignment_table(findings)),
        _section(
            "Repetition", f"{DEFINITIONS['repetition_ratio']} {DEFINITIONS['distinct_answers']}", _repetition_table(findings)
        ),
        "## Samples\n\n" + "\n\n".join(_sample(prompt, findings) for prompt in dict.fromkeys(s.prompt for s in findings.samples)),
        "## What the figures mean\n\n" + "\n".join(f"- **{name}**: {meaning}" for name, meaning in findings.definitions.items()),
    ]
    return "\n\n".join(sections) + "\n"


def bits_table(findings: Findings) -> str:
    """Models and baselines by domain, as a Markdown table."""
    head = ["model", *findings.domains, "aggregate"]
    bits, aggregate = findings.bits, findings.aggregate
    rows = [[m, *(f"{bits[m, d]:.3f}" for d in findings.domains), f"{aggregate[m]:.3f}"] for m in findings.models]
    shares = ["share", *(f"{findings.domain_shares.get(d, 0):.0%}" for d in findings.domains), ""]
    return table(head, [*rows, shares])


def tasks_table(findings: Findings) -> str:
    """Results of tasks cut from held-out text, by model, as a Markdown table."""
    tasks = findings.held_out_tasks
    models = list(dict.fromkeys(row.model for row in tasks))
    value = {(row.task, row.metric, row.model): f"{row.value:.1%}" for row in tasks}
    first = {(row.task, row.metric): row for row in tasks}
    rows = [
        [task, metric, *(value[task, metric, model] for model in models), f"{row.chance:.1%}", str(row.items)]
        for (task, metric), row in first.items()
    ]
    return table(["task", "metric", *models, "chance", "items"], rows)


def benchmarks_table(findings: Findings) -> str:
    """Results of benchmarks on all items and on clean items, as a Markdown table."""
    rows = [
        [r.task, r.metric, r.model, f"{r.value:.1%}", share(r.clean_value), f"{r.chance:.1%}", str(r.items), str(r.clean_items)]
        for r in findings.benchmarks
    ]
    return table(["benchmark", "metric", "model", "all items", "clean items", "chance", "items", "clean"], rows)


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; the first column is left-aligned, the others are right-aligned."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def _section(title: str, meaning: str, body: str) -> str:
    return f"## {title}\n\n{meaning}\n\n{body}"


def _benchmark_sections(findings: Findings) -> list[str]:
    """A section with scores if benchmarks were evaluated, and one with counts if curation searched for benchmarks."""
    scores = _section("Benchmarks", f"Clean: {DEFINITIONS['clean']}", benchmarks_table(findings))
    rows = [
        [row.benchmark, *(f"{count:,}" for count in (row.items, row.contaminated, row.not_searched, row.documents))]
        for row in findings.contamination
    ]
    head = ["benchmark", "items", "contaminated", "not searched for", "documents refused"]
    counts = _section("Contamination", f"Contaminated: {DEFINITIONS['contaminated']}", table(head, rows))
    return [*([scores] if findings.benchmarks else []), *([counts] if rows else [])]


def _omissions_table(findings: Findings) -> str:
    rows = [
        [row.source, row.unit, row.reason, f"{row.count:,} of {row.total:,}", f"{row.share:.1%}", "; ".join(map(str, row.cases))]
        for row in findings.omissions
    ]
    return table(["source", "items", "reason", "left out", "share", "first cases"], rows)


def _alignment_table(findings: Findings) -> str:
    rows = [
        [row.measure, row.kind, f"{row.before:.4g}", f"{row.after:.4g}", f"{row.after_low:.4g} to {row.after_high:.4g}"]
        for row in findings.alignment
    ]
    return table(["measure", "kind", "before", "after", "95 % interval"], rows)


def _repetition_table(findings: Findings) -> str:
    rows = [
        [row.model, f"{row.repetition_ratio:.1%}", f"{row.distinct_answers:.1%}", str(row.prompts)] for row in findings.repetition
    ]
    return table(["model", "repetition ratio", "distinct answers", "prompts"], rows)


def _sample(prompt: str, findings: Findings) -> str:
    answers = [(sample.model, sample.answer) for sample in findings.samples if sample.prompt == prompt]
    return "\n\n".join([_quoted(prompt, "User"), *(_quoted(answer, model) for model, answer in answers)])


def _quoted(text: str, speaker: str) -> str:
    """The text as an indented code block, so that no Markdown in it is interpreted."""
    return f"**{speaker}**\n\n" + "\n".join("    " + line for line in (text or "(nothing)").splitlines())

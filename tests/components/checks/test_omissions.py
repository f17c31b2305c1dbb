"""The limit of what a stage may leave out."""

from pathlib import Path

import pytest

from components.artifacts import DUPLICATE, Omission, OmissionCase, Omissions
from components.checks import suite
from components.checks.omissions import omitted
from components.errors import DamagedArtifact


def judged(artifact: Path, output: Path, *rows: Omission) -> tuple[bool, str]:
    """Whether a limit of a quarter holds for this record, and what was observed."""
    (artifact / "metrics").mkdir()
    Omissions(rows=rows).write(artifact)
    table = omitted(artifact, 0.25)
    (expectation,) = suite.run("limits", [table], output).expectations
    assert expectation.name == "left out: at most 25 % of a source is left out"
    return expectation.passed, expectation.observed


def row(count: int, reason: str = "too-long", source: str = "a.jsonl") -> Omission:
    """Some of a hundred lines."""
    case = OmissionCase(uri=f"{source}#7", detail="300 tokens")
    return Omission(source=source, unit="lines", reason=reason, count=count, total=100, cases=(case,))


def test_reasons_of_one_source_add_up_and_the_source_and_the_first_cases_are_named(tmp_path: Path, output: Path) -> None:
    passed, observed = judged(tmp_path, output, row(25), row(13, source="b.jsonl"), row(13, "empty-field", "b.jsonl"))
    assert not passed
    assert observed.startswith("1 of 2 rows: ")
    assert "b.jsonl#7: 300 tokens" in observed
    assert "13 too-long, 13 empty-field" in observed
    assert "share 0.26" in observed


def test_a_source_at_the_limit_passes_and_copies_do_not_count(tmp_path: Path, output: Path) -> None:
    assert judged(tmp_path, output, row(25), row(75, DUPLICATE))[0]


def test_nothing_left_out_passes(tmp_path: Path, output: Path) -> None:
    assert judged(tmp_path, output)[0]


def test_a_step_without_a_record_left_out_nothing_and_a_damaged_one_is_named(tmp_path: Path, output: Path) -> None:
    assert suite.run("limits", [omitted(tmp_path, 0.25)], output).passed
    (tmp_path / "metrics").mkdir()
    (tmp_path / Omissions.NAME).write_text('{"rows": 3}')
    with pytest.raises(DamagedArtifact, match=r"omissions\.json"):
        omitted(tmp_path, 0.25)

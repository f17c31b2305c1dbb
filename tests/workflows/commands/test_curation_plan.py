"""`longrun curation-plan RECIPE`: what will be read, and which pairs deduplication finds."""

import json
import subprocess
import sys
from dataclasses import replace

import pytest

from components.curation import CorpusConfig, DuplicatesConfig
from components.curation.config import CurationConfig, Source
from components.curation.duplicates.bands import Bands
from tests.paths import ROOT
from workflows.commands.curation_plan import curation_plan, curation_plan_lines

CONFIG = CurationConfig(
    sources=(
        Source(uri="s3://crawl/2026-10/", domain="web", weight=3.0),
        Source(uri="books/", domain="books", weight=1.0, sample_bytes=5_000_000),
    )
)


def plan(*words: str) -> str:
    command = [sys.executable, "-m", "workflows.cli", "curation-plan", *words]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout


def test_the_plan_shows_the_shares_of_languages_in_all_tokens() -> None:
    planned = curation_plan(replace(CONFIG, corpus=CorpusConfig(language_shares={"web": {"en": 4, "zh": 1}})))
    assert "books 25.0%, web/en 60.0%, web/zh 15.0%" in "\n".join(curation_plan_lines("mine", planned))


def test_the_plan_shows_the_curve_with_the_threshold_marked_and_what_it_means() -> None:
    lines = curation_plan_lines("mine", curation_plan(CONFIG))
    text = "\n".join(lines)
    for words in (
        "s3://crawl/2026-10/, all documents",
        "books/, a sample of 5.0 MB",
        "books 25.0%, web 75.0%",
        "18 bands of 7 rows",
    ):
        assert words in text
    (marked,) = [line for line in lines if line.endswith("threshold")]
    assert marked.split()[:2] == ["0.80", f"{Bands(bands=18, rows=7).recall(0.8):.2%}"]
    assert "98.55% of the pairs at the threshold are compared, and half of the pairs at similarity 0.63" in text


@pytest.mark.parametrize("threshold", [0.5, 0.72, 0.9])
def test_a_threshold_between_the_steps_of_the_curve_stands_in_it_too(threshold: float) -> None:
    planned = curation_plan(replace(CONFIG, duplicates=DuplicatesConfig(near_duplicate_threshold=threshold)))
    said = planned["deduplication"]
    assert said["recall_by_similarity"][f"{threshold:.2f}"] == round(said["recall_at_threshold"], 6)
    assert sum(line.endswith("threshold") for line in curation_plan_lines("mine", planned)) == 1


def test_a_changed_threshold_is_planned_before_anything_is_run() -> None:
    said = json.loads(plan("tiny", "--set", "curation.duplicates.near_duplicate_threshold=0.7", "--json"))["deduplication"]
    assert said["threshold"] == 0.7
    assert said["recall_at_threshold"] >= 0.95
    assert "curation of tiny" in plan("tiny")


def test_a_recipe_that_is_unknown_is_refused_with_what_is_near() -> None:
    with pytest.raises(subprocess.CalledProcessError) as raised:
        plan("smok")
    assert "unknown recipe 'smok' (did you mean 'smoke'?)" in raised.value.stderr

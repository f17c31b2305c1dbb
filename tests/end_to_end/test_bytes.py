"""What a run reads: each byte of an artifact is hashed once, fetched from a bucket at most once, and only where it is needed."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.infra.s3_server import BUCKET, CountingProxy, bucket
from tests.paths import ROOT

pytestmark = [pytest.mark.ray, pytest.mark.slow]


@dataclass(frozen=True)
class Counts:
    """What one run hashed and fetched."""

    hashed: list[dict[str, Any]]
    fetched: dict[str, list[int]]

    def of_artifacts(self) -> list[dict[str, Any]]:
        """Hashings of files of artifacts, while they were written and afterwards; not those of sources."""
        return [line for line in self.hashed if {"writing", "artifacts"} & set(Path(line["path"]).parts)]


def counted(directory: Path, home: str, endpoint: str, *words: str) -> Counts:
    """Run recipe `tiny` in a home, with artifacts in the bucket."""
    notes, proxy = directory / f"{home}.hashed", CountingProxy(endpoint)
    where = ("--home", str(directory / home), "--artifact-root", f"s3://{BUCKET}/tiny")
    # what is counted does not depend on how well a model learns that has seen next to nothing
    where += ("--set", "checks.pretraining.max_loss_ratio=2", "--set", "checks.dpo.max_worse_measures=2")
    command = [sys.executable, "-m", "tests.end_to_end.counted", str(notes), str(directory / f"{home}-views"), "run", "tiny"]
    with proxy.serving() as url:
        environment = {**os.environ, "AWS_ENDPOINT_URL": url, "PYTHONPATH": str(ROOT)}
        ended = subprocess.run(
            [*command, *where, *words], capture_output=True, text=True, check=False, cwd=directory, env=environment
        )
    assert ended.returncode == 0, ended.stderr + ended.stdout
    return Counts([json.loads(line) for line in notes.read_text().splitlines()], proxy.files())


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Counts, Counts]]:
    """A whole run, and one in another home that makes everything after SFT again."""
    directory = tmp_path_factory.mktemp("bytes")
    with bucket(directory / "log") as endpoint:
        yield counted(directory, "first", endpoint), counted(directory, "second", endpoint, "--set", "dpo.beta=0.2")


def test_a_run_hashes_each_file_of_its_artifacts_once(runs: tuple[Counts, Counts]) -> None:
    for run in runs:
        files = [tuple(line["file"]) for line in run.of_artifacts()]
        assert files
        assert sorted(files) == sorted(set(files))


def test_a_machine_fetches_nothing_that_it_made_but_what_it_registers(runs: tuple[Counts, Counts]) -> None:
    assert {Path(key).parts[2] for key in runs[0].fetched} == {"registration"}


def test_a_machine_fetches_each_file_once_and_no_tokens_and_no_weights_of_the_base_model_for_checks(
    runs: tuple[Counts, Counts],
) -> None:
    for run in runs:
        assert {key: sizes for key, sizes in run.fetched.items() if len(sizes) > 1} == {}
    keys = list(runs[1].fetched)
    assert not [key for key in keys if "/token_shards/" in key and "/train/" in key]
    assert not [key for key in keys if "/curation/" in key and "removed" in key]

"""What a component has while a step is made."""

import os
from pathlib import Path

import pytest

from components.artifacts import Corpus
from components.ports import LocalArtifactStore, SilentMetrics, TrainingReporter
from infra.ray import workers as ray_workers
from tests.components.ports.store_suite import publish
from tests.workflows.stage_suite import LocalWork, run_in, work_in
from workflows.steps.run import Order
from workflows.steps.work import PORTS, Work


@pytest.fixture
def corpus(tmp_path: Path) -> Corpus:
    return publish(LocalArtifactStore(tmp_path)).as_(Corpus)


def test_there_is_a_property_for_every_port(tmp_path: Path) -> None:
    work = work_in(tmp_path)
    assert [hasattr(LocalWork, port) or port in vars(work) for port in PORTS] == [True] * len(PORTS)


def test_inputs_are_opened_one_by_one_by_name_and_in_order(tmp_path: Path, corpus: Corpus) -> None:
    work, directory = work_in(tmp_path), tmp_path / corpus.uri
    assert work.local(corpus) == directory
    assert work.local({"base": corpus}) == {"base": directory}
    assert work.local([corpus, corpus]) == [directory, directory]
    assert work.local(None) is None


def test_scratch_belongs_to_a_key_and_the_index_to_the_code(tmp_path: Path) -> None:
    first = work_in(tmp_path)
    other_key, other_code = (
        Work(
            Order(**{"step": "step", "cache_key": "key", "code_digest": "code", "run": first.order.run, **change}), tmp_path, "0"
        )
        for change in ({"cache_key": "other"}, {"code_digest": "other"})
    )
    assert first.scratch != other_key.scratch
    assert first.index == other_key.index
    assert first.scratch == other_code.scratch
    assert first.index != other_code.index


def own_process(spec: str, reporter: TrainingReporter) -> int:
    """The process of a training worker."""
    return os.getpid()


@pytest.mark.ray
@pytest.mark.usefixtures("local_ray")
def test_shard_work_takes_the_processors_of_training_workers_that_stayed(tmp_path: Path) -> None:
    work = Work(Order(step="step", cache_key="key", code_digest="code", run=run_in(tmp_path)), tmp_path, "0")
    before = work.launcher.launch(own_process, "", workers=1, metrics=SilentMetrics())
    assert work.engine.map_shards(abs, [-1, 2], description="numbers") == [1, 2]
    after = work.launcher.launch(own_process, "", workers=1, metrics=SilentMetrics())
    ray_workers.release()
    assert not set(before) & set(after)

"""A run as it travels to its steps' tasks."""

import dataclasses
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import TypeAdapter

from components.artifacts import TrainingState
from infra.cluster import pods
from infra.cluster.process_profile import CARRIER
from infra.cluster.profiles import to_toml
from infra.storage import ObjectArtifactStore
from tests.infra.conftest import sample_profile
from tests.workflows.stage_suite import run_in
from workflows.steps.run import Branch, Order, Run, RunOptions


def test_an_order_is_the_same_after_its_journey_as_json(tmp_path: Path) -> None:
    branch = Branch(run="20260101-000000-abcd", state=TrainingState(uri="artifacts/training_state/1", digest="aa"))
    run = replace(run_in(tmp_path), options=RunOptions(until="dpo", fresh=("sft",), branch=branch))
    order = Order(step="sft", cache_key="key", code_digest="code", run=run)
    assert TypeAdapter(Order).validate_python(dataclasses.asdict(order)) == order


def test_the_store_the_journal_and_the_trunk_follow_from_what_travels(tmp_path: Path) -> None:
    run = run_in(tmp_path)
    run.journal.write("started", step="sft")
    again = Run(**{field.name: getattr(run, field.name) for field in dataclasses.fields(run)})
    assert again.journal.events() == run.journal.events() != []
    assert again.store == run.store
    assert again.trunk is None


def test_a_step_is_made_afresh_if_the_user_asked_for_it(tmp_path: Path) -> None:
    run = replace(run_in(tmp_path), options=RunOptions(fresh=("sft",)))
    assert [Order(step=step, cache_key="key", code_digest="code", run=run).fresh for step in ("sft", "dpo")] == [True, False]


def test_where_a_ray_cluster_has_workers_every_directory_of_a_step_lies_on_the_claim_that_they_share(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim = tmp_path / "claim"
    claim.mkdir()
    monkeypatch.setattr(pods, "CHECKPOINTS", str(claim))
    monkeypatch.setenv(CARRIER, to_toml(sample_profile(workers=2, checkpoint_claim="checkpoints")))
    run = replace(run_in(tmp_path / "own"), artifact_root="s3://artifacts/longrun")
    order = Order(step="pretraining", cache_key="key", code_digest="code", run=run)
    store = order.store
    assert isinstance(store, ObjectArtifactStore)
    directories = [store.copies, store.shared, order.scratch, order.index, run.shared_directory]
    assert [path for path in directories if not path.is_relative_to(claim)] == []

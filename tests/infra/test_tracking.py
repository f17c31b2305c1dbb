"""Runs in a real MLflow on SQLite."""

from pathlib import Path

from infra import tracking


def test_a_step_is_a_child_run_with_config_figures_and_tags(tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path}/mlflow/mlflow.db"
    parent = tracking.start_run(uri, "run")
    child = tracking.start_run(uri, "curation", parent=parent)
    tracking.log_record(uri, child, config={"a": {"b": 1}}, figures={"documents": 3, "by": {"code": 0.5}}, tags={"digest": "ff"})
    tracking.finish_run(uri, child)
    found = tracking.client(uri).get_run(child)
    assert found.data.tags["mlflow.parentRunId"] == parent
    assert found.data.params == {"a.b": "1"}
    assert found.data.metrics == {"documents": 3.0, "by.code": 0.5}
    assert found.data.tags["digest"] == "ff"
    assert found.info.status == "FINISHED"


def test_names_that_mlflow_refuses_are_made_plain() -> None:
    assert tracking.flatten({"a": {"b|c": 1}, "ä": 2}) == {"a.b_c": 1, "ä": 2}

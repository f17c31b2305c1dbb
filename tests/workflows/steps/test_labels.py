"""Tags, note and user of a run."""

import pytest

from components.errors import ConfigError
from workflows.recipe import from_json, to_json
from workflows.steps.labels import Labels, labels_of
from workflows.steps.provenance import user


def test_tags_and_note_are_kept_with_who_started_the_run() -> None:
    labels = labels_of(["data=v2", "tried by=hand=twice"], "with the new filter")
    assert labels == Labels(user=user(), tags={"data": "v2", "tried by": "hand=twice"}, note="with the new filter")
    assert labels.facts() == {"user": user(), "tags": labels.tags, "note": "with the new filter"}


def test_labels_are_the_same_after_their_journey_to_a_cluster() -> None:
    labels = Labels(user="someone", tags={"data": "v2"}, note="a note")
    assert from_json(to_json(labels), Labels) == labels


@pytest.mark.parametrize("tag", ["data", "=v2", "a:b=c", f"data={'x' * 501}"])
def test_a_malformed_tag_is_refused_with_the_form_allowed(tag: str) -> None:
    with pytest.raises(ConfigError, match=r"allowed: KEY=VALUE, such as data=v2"):
        labels_of([tag], "")


@pytest.mark.parametrize("key", ["mlflow.user", "longrun.mark", "recipe", "model_version"])
def test_a_tag_that_longrun_or_mlflow_sets_is_refused(key: str) -> None:
    with pytest.raises(ConfigError, match=f"sets the tag {key}; choose another key"):
        labels_of([f"{key}=x"], "")


def test_a_tag_given_twice_is_refused() -> None:
    with pytest.raises(ConfigError, match="the tag data is already 'v1'"):
        labels_of(["data=v1", "data=v2"], "")

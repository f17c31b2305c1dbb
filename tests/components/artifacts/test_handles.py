"""Handles: what a step gets and hands on."""

from components.artifacts import Artifact, Corpus


def test_a_handle_is_of_its_kind() -> None:
    assert Corpus(uri="/a", digest="d") != Artifact(uri="/a", digest="d")

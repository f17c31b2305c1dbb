"""A change in what is read is seen before it is read."""

from collections.abc import Callable
from pathlib import Path

import pytest

from components.alignment.config import ConversationsConfig, PreferencePairsConfig
from components.alignment.sources import fingerprint
from components.errors import SourceError


def test_a_changed_file_changes_the_fingerprint_and_the_same_bytes_do_not(jsonl: Callable[..., str]) -> None:
    config = PreferencePairsConfig(sources=(jsonl([1]),))
    first = fingerprint(config)
    jsonl([1])
    assert fingerprint(config) == first
    jsonl([2])
    assert fingerprint(config) != first


def test_other_distributions_have_another_fingerprint() -> None:
    first, second = (ConversationsConfig(distributions=names) for names in (("rich",), ("rich", "typer")))
    assert fingerprint(first) == fingerprint(first) != fingerprint(second)


def test_what_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="no such file"):
        fingerprint(ConversationsConfig(sources=(str(tmp_path / "nowhere.jsonl"),)))
    with pytest.raises(SourceError, match="is not installed"):
        fingerprint(ConversationsConfig(distributions=("no-such-distribution",)))

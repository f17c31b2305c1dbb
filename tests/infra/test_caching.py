"""The cache key follows meaning; the code digest follows every byte."""

import dataclasses
from pathlib import Path

import pytest

from components.artifacts import Artifact
from infra.caching import _module, cache_key, code_digest, code_key, reachable

BASE = {
    "components/__init__.py": "",
    "components/stage/__init__.py": "",
    "components/stage/work.py": (
        '"""Says."""\nfrom components.below import number\n\n\ndef work():\n    """Doc."""\n    return number()\n'
    ),
    "components/below.py": "def number():\n    # a reason\n    return 1\n",
    "components/other.py": "def other():\n    return 2\n",
}


def step() -> int:
    """A step as the tasks have it: the component is imported inside."""
    from components.stage.work import work  # type: ignore[import-not-found]

    return work()


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name, text in BASE.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def rewrite(root: Path, name: str, old: str, new: str) -> None:
    text = (root / name).read_text()
    assert old in text
    (root / name).write_text(text.replace(old, new))
    _module.cache_clear()


def test_a_step_reaches_what_its_component_imports_and_nothing_else(root: Path) -> None:
    assert reachable(step, root) == [
        "components/__init__.py",
        "components/below.py",
        "components/stage/__init__.py",
        "components/stage/work.py",
    ]


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("components/below.py", "# a reason", "# another reason"),
        ("components/stage/work.py", '"""Doc."""', '"""Other words."""'),
        ("components/stage/work.py", '"""Says."""\n', ""),
    ],
)
def test_a_changed_comment_or_docstring_keeps_the_key_and_changes_the_evidence(root: Path, name: str, old: str, new: str) -> None:
    key, digest = code_key(step, root), code_digest(step, root)
    rewrite(root, name, old, new)
    assert code_key(step, root) == key
    assert code_digest(step, root) != digest


def test_changed_code_in_a_layer_below_changes_the_key(root: Path) -> None:
    key = code_key(step, root)
    rewrite(root, "components/below.py", "return 1", "return 3")
    assert code_key(step, root) != key


def test_changed_code_of_another_stage_keeps_the_key(root: Path) -> None:
    key = code_key(step, root)
    rewrite(root, "components/other.py", "return 2", "return 3")
    assert code_key(step, root) == key


@dataclasses.dataclass(frozen=True)
class Config:
    rate: float = 1.0


def test_config_inputs_and_facts_each_change_the_cache_key() -> None:
    corpus = Artifact(uri="artifacts/curation/1", digest="aa")
    base = cache_key(step, Config(), {"corpus": corpus}, {})
    assert cache_key(step, Config(), {"corpus": dataclasses.replace(corpus, uri="artifacts/curation/2")}, {}) == base
    changed = [
        cache_key(step, Config(rate=2.0), {"corpus": corpus}, {}),
        cache_key(step, Config(), {"corpus": dataclasses.replace(corpus, digest="bb")}, {}),
        cache_key(step, Config(), {"corpus": corpus}, {"sources": "cc"}),
    ]
    assert len({base, *changed}) == 4

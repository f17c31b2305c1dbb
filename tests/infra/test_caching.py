"""The cache key follows meaning; the code digest follows every byte; so it is with the code that a recipe brings."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from components.artifacts import Artifact
from components.decides import DECIDES_NOTHING, deciding
from components.extensions import Extension, gathered
from infra.caching import _module, as_json, cache_key, code_digest, code_key, extension_key, reachable

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
    key, digest = code_key(step, root), code_digest(step, root=root)
    rewrite(root, name, old, new)
    assert code_key(step, root) == key
    assert code_digest(step, root=root) != digest


def test_changed_code_in_a_layer_below_changes_the_key(root: Path) -> None:
    key = code_key(step, root)
    rewrite(root, "components/below.py", "return 1", "return 3")
    assert code_key(step, root) != key


def test_changed_code_of_another_stage_keeps_the_key(root: Path) -> None:
    key = code_key(step, root)
    rewrite(root, "components/other.py", "return 2", "return 3")
    assert code_key(step, root) == key


@dataclasses.dataclass(frozen=True)
class Located:
    folder: str = dataclasses.field(default="/here", metadata=DECIDES_NOTHING)
    rate: float = 1.0


OUTSIDE = "def summarise(config):\n    # a reason\n    return 1\n\n\nasync def summary(order, config):\n    return summarise\n"


@pytest.mark.parametrize(("old", "new", "same"), [("return 1", "return 2", False), ("# a reason", "# another", True)])
def test_a_step_from_outside_follows_its_own_module_where_its_component_may_be(
    tmp_path: Path, old: str, new: str, same: bool
) -> None:
    path, keys = tmp_path / "outside.py", []
    for text in (OUTSIDE, OUTSIDE.replace(old, new)):
        path.write_text(text)
        module: dict[str, Any] = {}
        exec(compile(text, str(path), "exec"), module)
        keys.append((code_key(module["summary"]), code_digest(module["summary"])))
    (key, digest), (changed_key, changed_digest) = keys
    assert (key == changed_key) == same
    assert digest != changed_digest


@dataclasses.dataclass(frozen=True)
class Config:
    rate: float = 1.0


def test_where_and_when_an_input_was_made_does_not_change_the_cache_key() -> None:
    corpus = Artifact(uri="artifacts/curation/1", digest="aa", content="cc")
    base = cache_key(step, Config(), {"corpus": corpus}, {})
    for changes in ({"uri": "artifacts/curation/2"}, {"digest": "bb"}):
        assert cache_key(step, Config(), {"corpus": dataclasses.replace(corpus, **changes)}, {}) == base


def test_fields_that_decide_nothing_do_not_change_the_cache_key_and_stand_in_the_whole_config() -> None:
    assert cache_key(step, Located(folder="/there"), {}, {}) == cache_key(step, Located(), {}, {})
    assert as_json(Located(folder="/there")) == {"type": "Located", "folder": "/there", "rate": 1.0}
    assert as_json(Located(folder="/there"), deciding) == {"type": "Located", "rate": 1.0}


def test_config_inputs_and_facts_each_change_the_cache_key() -> None:
    corpus = Artifact(uri="artifacts/curation/1", digest="aa", content="cc")
    base = cache_key(step, Config(), {"corpus": corpus}, {})
    changed = [
        cache_key(step, Config(rate=2.0), {"corpus": corpus}, {}),
        cache_key(step, Config(), {"corpus": dataclasses.replace(corpus, content="bb")}, {}),
        cache_key(step, Config(), {"corpus": corpus}, {"sources": "cc"}),
    ]
    assert len({base, *changed}) == 4


# Code of the recipe's own

OWN = {
    "filters.py": (
        "import helper\nimport numpy\nfrom components.stage.work import work\n\n\n"
        'class NoAds:\n    """Says."""\n\n    words = helper.number\n'
    ),
    "helper.py": "def number():\n    # a reason\n    return open('words.txt')\n",
    "words.txt": "buy\n",
    "other.py": "",
}


@dataclasses.dataclass(frozen=True)
class OwnConfig:
    own: tuple[Extension, ...] = ()


def own(folder: Path, **changes: str) -> OwnConfig:
    """A config with an extension, some of whose files are changed."""
    folder.mkdir(exist_ok=True)
    for name, text in (OWN | {name.replace("_", "."): text for name, text in changes.items()}).items():
        (folder / name).write_text(text)
    return OwnConfig(own=(gathered(Extension(code="filters.py:NoAds"), folder),))


def key_of(config: OwnConfig) -> str:
    return cache_key(step, config, {}, {})


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("helper.py", "open(", "set("),
        ("filters.py", "import numpy", "import scipy"),
        ("filters.py", "class NoAds:", "class NoAds(dict):"),
        ("words.txt", "buy", "now"),
    ],
)
def test_changed_code_or_data_of_an_extension_changes_the_key(tmp_path: Path, name: str, old: str, new: str) -> None:
    before = own(tmp_path / "own")
    after = own(tmp_path / "own", **{name.replace(".", "_"): OWN[name].replace(old, new)})
    assert key_of(before) != key_of(after)


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("helper.py", "# a reason", "# another reason"),
        ("filters.py", '"""Says."""', '"""Says more."""\n\n    # and more'),
        ("filters.py", "import helper\n", "import helper  # first\n\n"),
    ],
)
def test_a_changed_comment_of_an_extension_keeps_the_key_and_changes_the_evidence(
    tmp_path: Path, name: str, old: str, new: str
) -> None:
    before = own(tmp_path / "own")
    after = own(tmp_path / "own", **{name.replace(".", "_"): OWN[name].replace(old, new)})
    assert key_of(before) == key_of(after)
    assert code_digest(step, before) != code_digest(step, after)


def test_a_file_that_an_extension_does_not_reach_and_where_it_lies_change_nothing(tmp_path: Path) -> None:
    before = own(tmp_path / "own")
    after = own(tmp_path / "elsewhere", other_py="x = 1\n")
    assert key_of(before) == key_of(after)
    assert code_digest(step, before) == code_digest(step, after)


def test_values_and_the_class_decide(tmp_path: Path) -> None:
    (extension,) = own(tmp_path / "own").own
    changed = [dataclasses.replace(extension, values={"share": share}) for share in (0.1, 0.2)]
    assert len({key_of(OwnConfig(own=(each,))) for each in (extension, *changed)} | {key_of(OwnConfig())}) == 4


def test_our_code_that_an_extension_reaches_changes_its_key(tmp_path: Path, root: Path) -> None:
    (extension,) = own(tmp_path / "own").own
    key = extension_key(extension, root)
    rewrite(root, "components/below.py", "return 1", "return 3")
    changed = extension_key(extension, root)
    rewrite(root, "components/other.py", "return 2", "return 3")
    assert [key == changed, changed == extension_key(extension, root)] == [False, True]


def test_another_version_of_an_installed_package_changes_the_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = own(tmp_path / "own")
    key = key_of(config)
    site = tmp_path / "site" / "numpy-99.0.dist-info"
    site.mkdir(parents=True)
    (site / "METADATA").write_text("Metadata-Version: 2.1\nName: numpy\nVersion: 99.0\n")
    monkeypatch.syspath_prepend(site.parent)
    assert key_of(config) != key


def test_a_manifest_names_the_files_of_an_extension_by_their_digest(tmp_path: Path) -> None:
    (extension,) = own(tmp_path / "own").own
    (recorded,) = as_json(OwnConfig(own=(extension,)))["own"]
    assert recorded["files"] == [{"path": file.path, "sha256": file.digest} for file in extension.files]

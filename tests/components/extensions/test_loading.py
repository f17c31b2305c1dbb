"""Code is imported from what an extension carries: anywhere, under one name, without meeting other code of that name."""

import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from components.errors import ConfigError
from components.extensions import CHECK, FILTER, Extension, failure, gathered, load
from tests.components.extensions.conftest import write
from tests.paths import ROOT

NO_ADS = Extension(code="filters.py:NoAds", values={"max_share": 0.4})

SCRIPT = """
import os, pickle, sys
from components.extensions import FILTER, load

extension = pickle.loads(bytes.fromhex(sys.argv[1]))
rule = load(extension, FILTER)
print(rule.refusal("buy now or later"), rule.refusal("the long way home"), type(rule).__module__)
"""


def test_an_extension_works_as_if_it_were_in_its_folder(folder: Path) -> None:
    rule = load(gathered(NO_ADS, folder), FILTER)
    assert rule.max_share == 0.4
    assert [rule.refusal("buy now or later"), rule.refusal("the long way home")] == ["advertisement", None]


def test_another_process_in_another_folder_has_it_under_the_same_name_without_the_recipe_s_folder(
    folder: Path, tmp_path: Path
) -> None:
    extension = gathered(NO_ADS, folder)
    name = type(load(extension, FILTER)).__module__
    for file in sorted(folder.rglob("*.*")):
        file.unlink()
    command = [sys.executable, "-c", SCRIPT, pickle.dumps(extension).hex()]
    done = subprocess.run(
        command, cwd=tmp_path, env={"PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path)}, capture_output=True, text=True
    )
    assert done.stdout.split() == ["advertisement", "None", name], done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine"], "what was unpacked is removed with the process"


def test_two_files_of_one_name_in_two_folders_do_not_meet(tmp_path: Path) -> None:
    text = "import helper\n\n\nclass Own:\n    def refusal(self, document):\n        return helper.WORD\n"
    loaded = [
        load(
            gathered(Extension(code="own.py:Own"), write(tmp_path / word, {"own.py": text, "helper.py": f"WORD = {word!r}\n"})),
            FILTER,
        )
        for word in ("first", "second")
    ]
    assert [rule.refusal("") for rule in loaded] == ["first", "second"]
    assert "helper" not in sys.modules
    assert str(tmp_path / "first") not in sys.path


def test_folders_below_one_recipe_have_modules_of_one_name_too(tmp_path: Path) -> None:
    text = "import helper\n\n\nclass Own:\n    def refusal(self, document):\n        return helper.WORD\n"
    files = {f"{word}/{name}": body for word in "ab" for name, body in (("own.py", text), ("helper.py", f"WORD = {word!r}\n"))}
    folder = write(tmp_path, files)
    assert [load(gathered(Extension(code=f"{word}/own.py:Own"), folder), FILTER).refusal("") for word in "ab"] == ["a", "b"]


def test_every_form_of_import_reaches_the_modules_beside_it(tmp_path: Path) -> None:
    text = """
import package.inner
import package.inner as named
import first, second as other
from package import inner as again, VALUE
from package.inner import DEEP
from . import first as relative
from .package.inner import DEEP as relative_deep


class Own:
    def refusal(self, document):
        from first import WORD

        values = (package.inner.DEEP, package.VALUE, named.DEEP, first.WORD, other.WORD, again.DEEP, VALUE, DEEP)
        return " ".join((*values, relative.WORD, relative_deep, WORD))
"""
    files = {
        "own.py": text,
        "first.py": "WORD = 'first'\n",
        "second.py": "WORD = 'second'\n",
        "package/__init__.py": "from .inner import DEEP\n\nVALUE = 'value'\n",
        "package/inner.py": "import first\n\nDEEP = 'deep'\n",
    }
    rule = load(gathered(Extension(code="own.py:Own"), write(tmp_path, files)), FILTER)
    assert rule.refusal("") == "deep value deep first second deep value deep first deep first"


def test_a_changed_file_is_other_code_in_the_same_process(folder: Path) -> None:
    before = load(gathered(NO_ADS, folder), FILTER)
    write(folder, {"words.py": "def of(text):\n    return []\n"})
    after = load(gathered(NO_ADS, folder), FILTER)
    assert [rule.refusal("buy now") for rule in (before, after)] == ["advertisement", None]


def test_a_file_that_was_not_taken_is_not_there(of: Callable[..., Extension], tmp_path: Path) -> None:
    """What is read without being counted would be a silent stale result; here it is an error."""
    write(tmp_path / "of", {"words.txt": "x"})
    text = "from pathlib import Path\n\n\nclass Own:\n    def __init__(self):\n        "
    text += (
        "self.words = Path(__file__).with_name('words' + '.txt').read_text()\n\n    def refusal(self, document):\n        ...\n"
    )
    with pytest.raises(ConfigError, match=r"Own does not accept \{\}, own\.py:6: FileNotFoundError"):
        load(of(text), FILTER)
    listed = gathered(Extension(code="own.py:Own", data=("words.txt",)), tmp_path / "of")
    assert load(listed, FILTER).words == "x"


INIT = "class Own:\n    def __init__(self, share: float, words: list = (), strict: bool = False):\n        "
METHOD = "\n\n    def refusal(self, document):\n        return None\n"


@pytest.mark.parametrize(
    ("text", "values", "message"),
    [
        (
            "\n\nclass Own:\n    pass\n",
            {},
            r"line 3: Own has no method refusal; it must be a class with a method refusal\(self, document\)",
        ),
        (
            "def Own(document):\n    return None\n",
            {},
            "unknown class 'Own'; allowed: none; it must be a class with a method refusal",
        ),
        (
            "class Own:\n\n    def refusal(self):\n        ...\n",
            {},
            r"line 3: refusal\(\) has wrong parameters; it must be a class with a method refusal",
        ),
        (
            "class Own:\n    def refusal(self, a, b):\n        ...\n",
            {},
            r"line 2: refusal\(a, b\) has wrong parameters; it must be a class",
        ),
        (
            f"{INIT}pass{METHOD}",
            {},
            r"line 1: Own\(share: float, .*\) does not accept \{\}: missing a required argument: 'share'",
        ),
        (f"{INIT}pass{METHOD}", {"share": 1, "mode": 2}, r"does not accept .*: got an unexpected keyword argument 'mode'"),
        (f"{INIT}pass{METHOD}", {"share": "much"}, r"Own\.share is 'much'; allowed: float"),
        (f"{INIT}pass{METHOD}", {"share": True}, r"Own\.share is True; allowed: float"),
        (f"{INIT}pass{METHOD}", {"share": 1, "words": "a"}, r"Own\.words is 'a'; allowed: list"),
        (f"{INIT}pass{METHOD}", {"share": 1, "strict": 1}, r"Own\.strict is 1; allowed: bool"),
        (
            f"{INIT}raise ValueError('too\\n much'){METHOD}",
            {"share": 2},
            r"does not accept \{'share': 2\}, own\.py:3: ValueError: too much",
        ),
    ],
)
def test_a_class_that_does_not_fit_is_refused_with_file_line_and_what_is_expected(
    of: Callable[..., Extension], text: str, values: dict[str, object], message: str
) -> None:
    with pytest.raises(ConfigError, match=rf"filter own\.py:Own.*{message}"):
        load(of(text, **values), FILTER)


def test_an_integer_is_a_float_and_a_dataclass_is_a_class(of: Callable[..., Extension]) -> None:
    text = "from dataclasses import dataclass\n\n\n@dataclass\nclass Own:\n    share: float\n"
    assert load(of(f"{text}{METHOD}", share=1), FILTER).share == 1


def test_a_class_of_another_kind_is_refused(folder: Path) -> None:
    with pytest.raises(ConfigError, match=r"check filters\.py:NoAds, line 10: NoAds has no method tables; it must be a class"):
        load(gathered(NO_ADS, folder), CHECK)


def test_code_that_was_not_gathered_cannot_be_loaded() -> None:
    with pytest.raises(ConfigError, match=r"filter filters\.py:NoAds: its code was not read; pass the recipe as a file"):
        load(NO_ADS, FILTER)


def test_a_failure_names_the_last_line_of_the_recipe_s_own_code(folder: Path) -> None:
    write(folder, {"words.py": "import json\n\n\ndef of(text):\n    return json.loads(text)\n"})
    extension = gathered(NO_ADS, folder)
    rule = load(extension, FILTER)
    with pytest.raises(ValueError) as caught:
        rule.refusal("{")
    message = str(failure(extension, FILTER, caught.value, "asked about x#1"))
    assert message.startswith("filter filters.py:NoAds, words.py:5: JSONDecodeError: Expecting property name")
    assert message.endswith("; asked about x#1")


def test_an_extension_is_pickled_as_its_text(folder: Path) -> None:
    pickled = pickle.dumps(gathered(NO_ADS, folder))
    assert b"class NoAds" in pickled
    assert b"longrun_extension_" not in pickled

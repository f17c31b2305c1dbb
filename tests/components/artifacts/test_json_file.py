"""Values in files: equal values have equal bytes, and what is no whole value is missing, newer or damaged, and nothing else."""

import dataclasses
import importlib
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Literal

import pytest

from components.artifacts import (
    OPTIONAL,
    Conversation,
    JsonFile,
    JsonLine,
    Omission,
    Omissions,
    PreferencePair,
    decoded,
    encoded,
)
from components.errors import ArtifactError, DamagedArtifact, MissingArtifact, NewerFormat
from components.evaluation.measure import Measured
from components.scaling.laws.published import LAWS
from components.scaling.planning.rates import COSTS, Rates
from components.tokenizer.special_tokens import SpecialTokens
from tests.components.artifacts.samples import FILES, FINDINGS, PLAN
from tests.components.scaling.text_truth import LAW
from tests.paths import MODULES
from workflows.preflight.asking import Remembered

VALUES: tuple[JsonFile, ...] = (
    *FILES,
    LAWS["chinchilla"],
    LAW,
    Rates(
        machine={"processor": "x"}, costs=dict.fromkeys(COSTS, 1e-9), load=0.25, micro_batch_tokens=1024, measured=(), held_out=()
    ),
    Omissions(rows=(Omission(source="a.jsonl", unit="lines", reason="empty", count=1, total=9, setting="sources"),)),
    Remembered(keys=("0a",)),
    SpecialTokens(bos=256, eos=257, pad=258, vocab_size=264, regular_tokens=256),
    Measured(
        bits_per_byte=FINDINGS.bits_per_byte, tasks=FINDINGS.tasks, repetition=FINDINGS.repetition, samples=FINDINGS.samples
    ),
)


def named(value: JsonFile) -> str:
    return type(value).__name__


def test_each_kind_of_file_is_among_the_values() -> None:
    for path in MODULES:
        if "JsonFile" in path.read_text(encoding="utf-8"):
            importlib.import_module(".".join(path.with_suffix("").parts).removesuffix(".__init__"))
    ours = {kind for kind in JsonFile.__subclasses__() if kind.__module__.startswith(("components.", "infra.", "workflows."))}
    assert {kind.__name__ for kind in ours} == {named(value) for value in VALUES}


@pytest.fixture(autouse=True)
def _folder(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """The folder of an artifact in which the value's file is."""
    if "value" in request.fixturenames:
        (tmp_path / request.getfixturevalue("value").NAME).parent.mkdir(parents=True, exist_ok=True)


@pytest.mark.parametrize("value", VALUES, ids=named)
def test_a_value_comes_back_as_it_was_and_is_written_with_the_same_bytes(value: JsonFile, tmp_path: Path) -> None:
    value.write(tmp_path)
    again = type(value).read(tmp_path)
    assert again == value
    assert again.to_json() == value.to_json() == (tmp_path / value.NAME).read_text(encoding="utf-8")


@pytest.mark.parametrize("value", VALUES, ids=named)
def test_a_value_that_is_not_there_is_missing(value: JsonFile, tmp_path: Path) -> None:
    for directory in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(MissingArtifact, match=rf"^\S+{value.NAME}: missing; [^\n]+ run that again$"):
            type(value).read(directory)


def first_field(value: JsonFile) -> str:
    """A field that cannot be left out of the file."""
    return next(f.name for f in dataclasses.fields(value) if f.metadata != OPTIONAL)  # type: ignore[arg-type]


def _changed(change: Callable[[dict[str, Any], str], object]) -> Callable[[JsonFile], bytes]:
    def data(value: JsonFile) -> bytes:
        raw = json.loads(value.to_json())
        change(raw, first_field(value))
        return json.dumps(raw).encode()

    return data


DAMAGES: dict[str, Callable[[JsonFile], bytes]] = {
    "empty": lambda value: b"",
    "cut short": lambda value: value.to_json().encode()[:-3],
    "not text": lambda value: b"\xff\x00",
    "not JSON": lambda value: b"<html>",
    "nested without end": lambda value: b"[" * 100_000,
    "a list": lambda value: f"[{value.to_json()}]".encode(),
    "null": lambda value: b"null",
    "a field is missing": _changed(lambda raw, name: raw.pop(name)),
    "a field is unknown": _changed(lambda raw, name: raw.update(colour="red")),
    "a field is null": _changed(lambda raw, name: raw.update({name: None} if name != "trained" else {"failure": None})),
    "a field is of another type": _changed(lambda raw, name: raw.update({name: [["x"]]})),
    "a number is a truth value": _changed(lambda raw, name: raw.update({name: True})),
    "a version that is none": _changed(lambda raw, name: raw.update(format_version="1.5")),
}


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("value", VALUES, ids=named)
def test_what_is_no_whole_value_is_damaged_and_the_message_says_where_and_what_to_do(
    value: JsonFile, damage: str, tmp_path: Path
) -> None:
    (tmp_path / value.NAME).write_bytes(DAMAGES[damage](value))
    message = rf"^\S+{value.NAME}: not (JSON|a valid {named(value)}) \([^\n]+; [^\n]+ run that again$"
    with pytest.raises(DamagedArtifact, match=message):
        type(value).read(tmp_path)


@pytest.mark.parametrize("value", VALUES, ids=named)
def test_a_directory_in_the_place_of_the_file_is_damage(value: JsonFile, tmp_path: Path) -> None:
    (tmp_path / value.NAME).mkdir()
    with pytest.raises(DamagedArtifact):
        type(value).read(tmp_path)


@pytest.mark.parametrize("value", VALUES, ids=named)
def test_a_file_of_a_later_format_is_newer_whatever_else_it_holds(value: JsonFile, tmp_path: Path) -> None:
    newer = value.VERSION + 1
    (tmp_path / value.NAME).write_text(json.dumps({"format_version": newer, "colour": "red"}))
    with pytest.raises(
        NewerFormat, match=rf"{value.NAME}: format version {newer}; this longrun reads up to {newer - 1}: upgrade"
    ):
        type(value).read(tmp_path)


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_a_number_that_is_not_finite_is_neither_written_nor_read(number: float, tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"^plan\.json: cannot be written as JSON .*finite numbers"):
        replace(PLAN, learning_rate=number).write(tmp_path)
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "plan.json").write_text(
        PLAN.to_json().replace("0.001", str(number).replace("nan", "NaN").replace("inf", "Infinity"))
    )
    with pytest.raises(DamagedArtifact, match="learning_rate is"):
        type(PLAN).read(tmp_path)


@dataclass(frozen=True, kw_only=True)
class Inner:
    """A part of a value."""

    colour: Literal["red", "green"]


@dataclass(frozen=True, kw_only=True)
class Outer(JsonLine):
    """A value with every kind of field."""

    STEP: ClassVar[str] = "the test"

    whole: int
    pair: tuple[int, str] = (1, "a")
    many: tuple[Inner, ...] = ()
    by_name: dict[str, Inner] = dataclasses.field(default_factory=dict, metadata=OPTIONAL)
    perhaps: float | None = None
    inner: Inner | None = None


def test_a_field_is_named_by_what_leads_to_it() -> None:
    red = {"colour": "red"}
    whole = decoded(Outer, {"whole": 1, "pair": [2, "b"], "many": [red], "by_name": {"x": red}, "perhaps": 1, "inner": red})
    inner = Inner(colour="red")
    assert whole == Outer(whole=1, pair=(2, "b"), many=(inner,), by_name={"x": inner}, perhaps=1, inner=inner)
    for raw, message in (
        ({"whole": 1.5}, "whole is 1.5, not int"),
        ({"whole": 1, "pair": [1]}, "pair has 1 entries, not 2"),
        ({"whole": 1, "pair": [1, 2]}, r"pair\[1\] is 2, not str"),
        ({"whole": 1, "many": [red, {"colour": "blue"}]}, r"many\[1\].colour is 'blue', not Literal\['red', 'green'\]"),
        ({"whole": 1, "by_name": {"x": {}}}, "missing field by_name.x.colour"),
        ({"whole": 1, "perhaps": "2"}, "perhaps is '2', not float"),
        ({"whole": 1, "inner": {"colour": "red", "size": 1}}, "unknown field inner.size"),
    ):
        with pytest.raises(ValueError, match=message):
            decoded(Outer, raw)


def test_what_is_empty_and_may_be_left_out_is_left_out() -> None:
    assert encoded(Outer(whole=1)) == {"whole": 1, "pair": [1, "a"], "many": [], "perhaps": None, "inner": None}


LINES = (
    Conversation(
        id="1",
        messages=[{"role": "user", "content": "p\u2028"}, {"role": "assistant", "content": "错"}],
        source="s",
        uri="s#1",
        group="g",
        licence="MIT",
        task="user",
    ),
    PreferencePair(id="1", kind="user", prompt='大学\u2028\x85 \n\t"\\', chosen="c", rejected="错", source="s", group="g"),
)


@pytest.mark.parametrize("line", LINES, ids=lambda line: type(line).__name__)
def test_lines_are_read_back_as_they_were_written_whatever_the_text(line: Any, tmp_path: Path) -> None:
    kind = type(line)
    kind.write([line, line], tmp_path, "train")
    kind.write([], tmp_path, "validation")
    assert kind.read(tmp_path, "train") == [line, line]
    assert kind.read(tmp_path, "validation") == []
    assert "\\u" not in (tmp_path / "train.jsonl").read_text(encoding="utf-8")


@pytest.mark.parametrize("line", LINES, ids=lambda line: type(line).__name__)
def test_a_missing_file_of_lines_is_missing_and_any_other_line_is_damage(line: Any, tmp_path: Path) -> None:
    kind, path = type(line), tmp_path / "train.jsonl"
    with pytest.raises(MissingArtifact, match=r"train\.jsonl: missing; written by the step \w+"):
        kind.read(tmp_path, "train")
    good = json.dumps(encoded(line))
    for bad in ("{", "[]", "{}", good[:-1] + ', "colour": "red"}', good.replace('"1"', "1", 1)):
        path.write_text(f"{good}\n{bad}\n", encoding="utf-8")
        with pytest.raises(DamagedArtifact, match=r"train\.jsonl: [^\n]+written by the step \w+: run that again$"):
            kind.read(tmp_path, "train")

"""The picture of the chain is what the stages are now, and its words fit."""

from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.pictures.chain import CAPTIONS, COLOURS, MAX_RESULT, MAX_WORK, files, picture
from workflows.steps.stages import STAGES


@pytest.mark.parametrize(("path", "text"), files().items(), ids=[path.name for path in files()])
def test_the_picture_is_up_to_date(path: Path, text: str) -> None:
    assert path.read_text(encoding="utf-8") == text, "run: make pictures"


def test_every_stage_has_a_caption_that_fits() -> None:
    assert CAPTIONS.keys() == STAGES.keys()
    assert [
        stage for stage, caption in CAPTIONS.items() if len(caption.work) > MAX_WORK or len(caption.result) > MAX_RESULT
    ] == []


def test_stages_with_a_check_and_no_others_have_its_mark(monkeypatch: pytest.MonkeyPatch) -> None:
    def checks() -> int:
        marks = ElementTree.fromstring(picture(COLOURS["light"])).iter("{http://www.w3.org/2000/svg}text")
        return sum(mark.get("class") == "check" for mark in marks)

    before = checks()
    monkeypatch.setitem(STAGES, "scaling", ("scaling",))
    assert (before, checks()) == (7, 6)


def test_the_dark_picture_differs_from_the_light_one_in_colours_alone() -> None:
    light, dark = (picture(COLOURS[name]) for name in ("light", "dark"))
    for name, colour in COLOURS["light"].items():
        light = light.replace(colour, COLOURS["dark"][name])
    assert light == dark

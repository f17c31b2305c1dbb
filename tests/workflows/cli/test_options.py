"""What all commands share: the home's settings, and results as text or JSON."""

import json
from pathlib import Path

import pytest

from workflows.cli.options import print_result, settings_of


def test_a_result_is_its_lines_or_with_json_its_value(capsys: pytest.CaptureFixture[str]) -> None:
    print_result({"name": "Müller"}, False, ["first", "second"])
    assert capsys.readouterr().out == "first\nsecond\n"
    print_result({"name": "Müller"}, True, ["first"])
    printed = capsys.readouterr().out
    assert json.loads(printed) == {"name": "Müller"}
    assert "Müller" in printed


def test_the_home_is_that_of_the_option_else_that_of_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LONGRUN_HOME", str(tmp_path / "environment"))
    assert settings_of(None).home == tmp_path / "environment"
    assert settings_of(str(tmp_path / "option")).home == tmp_path / "option"
    assert settings_of(None, artifact_root="s3://bucket/prefix").artifact_root == "s3://bucket/prefix"

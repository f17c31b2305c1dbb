"""`longrun profile` as a user types it."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from components.errors import ConfigError
from workflows.cli.main import app

GROUPS = ("core", "train", "evaluate")
VALUES = (
    "endpoint=https://flyte.example.org",
    "project=longrun",
    "image_registry=ghcr.io/example/longrun",
    *(f"image_digests.{group}=sha256:{'0' * 64}" for group in GROUPS),
    "artifact_root=s3://bucket/longrun",
    "mlflow_uri=https://mlflow.example.org",
    'gpus=["H100"]',
    "size=gpu",
    "workers=4",
    "checkpoint_claim=checkpoints",
    "sizes.train.cores=64",
    "secrets.MLFLOW_TRACKING_PASSWORD=kubernetes:mlflow/password",
)


def longrun(*words: str, home: Path) -> str:
    result = CliRunner().invoke(app, [*words, "--home", str(home)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def create(home: Path, *more: str, name: str = "site") -> str:
    return longrun("profile", "create", name, *(word for value in VALUES for word in ("--set", value)), *more, home=home)


def test_a_profile_is_created_listed_and_shown(tmp_path: Path) -> None:
    assert create(tmp_path).strip() == str(tmp_path / "profiles" / "site.toml")
    assert "https://flyte.example.org" in longrun("profile", "list", home=tmp_path)
    assert json.loads(longrun("profile", "list", "--json", home=tmp_path))[0]["domain"] == "development"
    shown = json.loads(longrun("profile", "show", "site", "--json", home=tmp_path))
    assert (shown["gpus"], shown["workers"]) == (["H100"], 4)
    assert shown["sizes"] == {"train": {"cores": "64"}}
    assert shown["secrets"] == {"MLFLOW_TRACKING_PASSWORD": "kubernetes:mlflow/password"}


def test_what_show_prints_is_a_file_to_begin_with(tmp_path: Path) -> None:
    create(tmp_path)
    file = tmp_path / "begin.toml"
    file.write_text(longrun("profile", "show", "site", home=tmp_path), encoding="utf-8")
    longrun("profile", "create", "copy", "--from", str(file), "--set", "domain=production", home=tmp_path)
    shown = json.loads(longrun("profile", "show", "copy", "--json", home=tmp_path))
    assert shown == json.loads(longrun("profile", "show", "site", "--json", home=tmp_path)) | {"domain": "production"}


def test_the_digests_that_a_push_writes_are_a_part_of_a_profile(tmp_path: Path) -> None:
    create(tmp_path)
    file, images = tmp_path / "site.toml", tmp_path / "images.toml"
    file.write_text(longrun("profile", "show", "site", home=tmp_path), encoding="utf-8")
    new = dict.fromkeys((*GROUPS, "tracking"), "sha256:" + "1" * 64)
    lines = "\n".join(f'{name} = "{digest}"' for name, digest in new.items())
    images.write_text(f'image_registry = "localhost:5001/longrun"\n\n[image_digests]\n{lines}\n', encoding="utf-8")
    longrun("profile", "create", "site", "--from", str(file), "--from", str(images), "--replace", home=tmp_path)
    shown = json.loads(longrun("profile", "show", "site", "--json", home=tmp_path))
    assert (shown["image_registry"], shown["image_digests"]) == ("localhost:5001/longrun", new)
    assert shown["endpoint"] == "https://flyte.example.org"


def test_a_home_without_profiles_says_how_to_make_one(tmp_path: Path) -> None:
    assert "longrun profile create" in longrun("profile", "list", home=tmp_path)
    assert not (tmp_path / "profiles").exists()


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("secrets.PASSWORD=planted-secret", "Profile.secrets.PASSWORD is no reference"),
        ("planted-secret", "not of the form KEY=VALUE"),
        ("project.secret=planted-secret", "project is a single value"),
        ("sizes.train=planted-secret", "sizes.train is of type str; allowed: a table of strings"),
        ("workers=planted-secret", "write numbers as 8"),
        ("gpus=[planted-secret", "arrays as"),
        ("mlflow_uri=https://me:planted-secret@host", "Profile.mlflow_uri contains a user, a password"),
    ],
)
def test_a_wrong_value_is_refused_without_repeating_it_and_nothing_is_written(value: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        create(tmp_path, "--set", value)
    assert "planted-secret" not in str(caught.value)
    assert not (tmp_path / "profiles").exists()


@pytest.mark.parametrize("text", [None, "endpoint ="])
def test_a_file_that_cannot_be_read_is_named(text: str | None, tmp_path: Path) -> None:
    if text is not None:
        (tmp_path / "file.toml").write_text(text)
    with pytest.raises(ConfigError, match=r"--from .*file\.toml"):
        longrun("profile", "create", "site", "--from", str(tmp_path / "file.toml"), home=tmp_path)

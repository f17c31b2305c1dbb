"""The shape in `config.json`: read as it was written, and nothing heavy is needed for it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from components.artifacts import ModelShape
from components.errors import ArtifactError, DamagedArtifact, MissingArtifact
from components.model.configuration import CONFIG, huggingface_config, read_shape
from tests.paths import ROOT

SHAPE = ModelShape(
    n_layer=2, d_model=32, n_head=4, n_kv_head=2, d_ffn=64, vocab_size=64, context=32, norm_epsilon=1e-5, rope_theta=5e5
)


def write(directory: Path, **changes: object) -> Path:
    (directory / CONFIG).write_text(json.dumps({**huggingface_config(SHAPE, "float32"), **changes}))
    return directory


def test_a_shape_is_read_as_it_was_written(tmp_path: Path) -> None:
    assert read_shape(write(tmp_path)) == SHAPE


def test_as_many_key_and_value_heads_as_heads_where_none_are_named(tmp_path: Path) -> None:
    assert read_shape(write(tmp_path, num_key_value_heads=None)).n_kv_head == 4


def test_a_directory_without_one_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(MissingArtifact, match=r"config\.json: missing"):
        read_shape(tmp_path)


@pytest.mark.parametrize(
    "changes",
    [
        {"num_hidden_layers": 0},
        {"hidden_size": "32"},
        {"rms_norm_eps": "small"},
        {"rope_theta": "large", "rope_parameters": None},
        {"rope_parameters": ["x"]},
    ],
)
def test_a_value_that_makes_no_sense_is_damage(changes: dict[str, object], tmp_path: Path) -> None:
    with pytest.raises(DamagedArtifact, match=r"config\.json: "):
        read_shape(write(tmp_path, **changes))


def test_another_architecture_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match="hidden_act is 'gelu'; allowed: 'silu'"):
        read_shape(write(tmp_path, hidden_act="gelu"))


def test_reading_it_loads_nothing_heavy() -> None:
    code = "import sys, components.model.configuration; print('torch' in sys.modules or 'numpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"

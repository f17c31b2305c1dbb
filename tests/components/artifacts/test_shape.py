"""Shapes of decoders."""

from typing import Any

import pytest

from components.artifacts import ModelShape
from components.errors import ConfigError

SHAPE: dict[str, Any] = {
    "n_layer": 2,
    "d_model": 64,
    "n_head": 4,
    "n_kv_head": 2,
    "d_ffn": 256,
    "vocab_size": 1024,
    "context": 128,
}


def test_a_shape_knows_the_width_of_its_heads() -> None:
    assert ModelShape(**SHAPE).d_head == 16


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *((name, 0) for name in SHAPE),
        *((name, 1.5) for name in SHAPE),
        ("n_head", 5),
        ("n_head", 64),
        ("n_kv_head", 3),
    ],
)
def test_a_senseless_shape_is_refused_by_field(field: str, value: float) -> None:
    with pytest.raises(ConfigError, match=rf"ModelShape\.{field} is "):
        ModelShape(**SHAPE | {field: value})

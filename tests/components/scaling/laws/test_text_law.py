"""The law of a text: a prediction for each vocabulary, written and read, and what contradicts itself is refused."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from components.artifacts import ModelShape
from components.errors import ConfigError, DamagedArtifact
from components.flops import non_embedding_flops_per_token
from components.scaling.laws.text_law import TextLaw
from tests.components.scaling.text_truth import LAW, vocabulary


def test_a_law_of_a_text_is_read_as_it_was_written(tmp_path: Path) -> None:
    LAW.write(tmp_path)
    assert TextLaw.read(tmp_path) == LAW


def test_it_predicts_by_the_coefficients_of_the_shapes_vocabulary_and_the_scale_at_its_sequence_length() -> None:
    shape = ModelShape(n_layer=2, d_model=96, n_head=3, n_kv_head=3, d_ffn=256, vocab_size=1024, context=256)
    predicted = LAW.predict(shape, 2e6)
    scale = non_embedding_flops_per_token(shape, 256)
    assert predicted.loss == pytest.approx(1.0 + 55.0 / scale**0.3 + 480.0 / 2e6**0.4)
    assert predicted.low < predicted.loss < predicted.high
    assert LAW.predict(shape, 2e6, sequence_length=512).loss < predicted.loss
    assert LAW.predict(dataclasses.replace(shape, vocab_size=512), 2e6).loss != predicted.loss


def test_a_vocabulary_that_was_not_fitted_is_refused_with_those_that_were() -> None:
    with pytest.raises(ConfigError, match="mine was not fitted for a vocabulary of 2048; allowed: 512, 1024"):
        LAW.vocabulary(2048)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"vocabularies": ()}, "vocabularies is .*; allowed: one or more, by rising vocab_size"),
        ({"vocabularies": LAW.vocabularies[::-1]}, "allowed: one or more, by rising vocab_size"),
        ({"vocabularies": LAW.vocabularies[:1] * 2}, "allowed: one or more, by rising vocab_size"),
        ({"vocabularies": (vocabulary(512, 1, 1, 3.0), vocabulary(1024, 1, 1, 2.0))}, "do not fall as the vocabulary grows"),
        ({"aspect": (48.0, 32.0)}, "aspect is .*; allowed: two rising positive numbers"),
        ({"aspect": (0.0, 32.0)}, "aspect is"),
        ({"aspect": (1.0, float("inf"))}, "aspect is"),
        ({"sequence_length": 0}, "sequence_length is 0; allowed: a positive integer"),
    ],
)
def test_a_law_of_a_text_that_makes_no_sense_is_refused(change: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        dataclasses.replace(LAW, **change)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"vocab_size": 0}, "vocab_size is 0"),
        ({"bytes_per_token": 0.0}, "bytes_per_token is 0"),
        ({"bytes_per_token": float("nan")}, "bytes_per_token is nan"),
        ({"law": dataclasses.replace(LAW.vocabularies[0].law, figure="loss")}, "law.figure is 'loss'; allowed: bits_per_byte"),
        ({"law": dataclasses.replace(LAW.vocabularies[0].law, scale="parameters")}, "law.scale is 'parameters'"),
        ({"law": dataclasses.replace(LAW.vocabularies[0].law, loss=None)}, "law.loss is None"),
    ],
)
def test_the_law_of_a_vocabulary_that_makes_no_sense_is_refused(change: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        dataclasses.replace(LAW.vocabularies[0], **change)


def test_a_damaged_file_is_refused_by_name(tmp_path: Path) -> None:
    LAW.write(tmp_path)
    (tmp_path / "text-law.json").write_text((tmp_path / "text-law.json").read_text().replace('"aspect"', '"ratio"'))
    with pytest.raises(DamagedArtifact, match=r"text-law\.json: not a valid TextLaw \(unknown field ratio"):
        TextLaw.read(tmp_path)

"""The classifier separates its training documents, is deterministic, and its file contains only arrays."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from components.curation.duplicates.sketches import bytes_of
from components.curation.quality.classifier import BUCKETS, MAX_BYTES, Classifier, features_of, learn
from tests.components.curation.conftest import prose


def features(texts: list[str]) -> list[bytes]:
    return features_of(*bytes_of(pa.array(texts)))


def odds(classifier: Classifier, texts: list[str]) -> list[float]:
    values: list[float] = classifier.log_odds(*bytes_of(pa.array(texts))).tolist()
    return values


def taught(seed: int = 0) -> tuple[Classifier, float | None]:
    """A classifier trained on references about rivers and other documents about prices."""
    texts = [f"{prose(n)} the river runs past the old mill" for n in range(60)]
    texts += [f"{prose(n + 500)} buy now at the best price" for n in range(60)]
    labels, held = np.arange(120) < 60, np.arange(120) % 5 == seed
    return learn(pa.chunked_array([pa.array(features(texts), pa.large_binary())]), labels, held)


@pytest.mark.long
def test_it_tells_references_from_the_rest_also_in_documents_it_has_not_seen() -> None:
    classifier, auc = taught()
    assert auc is not None
    assert auc > 0.95
    river, price = odds(classifier, [f"{prose(900)} by the river", f"{prose(901)} the best price"])
    assert river > 0 > price


def test_the_same_documents_give_the_same_bits(tmp_path: Path) -> None:
    for name in ("one.npz", "two.npz"):
        taught()[0].save(tmp_path / name)
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "two.npz").read_bytes()


def test_a_file_reads_back_and_nothing_pickled_is_read(tmp_path: Path) -> None:
    classifier, _ = taught()
    classifier.save(tmp_path / "en.npz")
    loaded = Classifier.load(tmp_path / "en.npz")
    assert odds(loaded, [prose(1)]) == odds(classifier, [prose(1)])
    np.savez(tmp_path / "bad.npz", weights=np.array([{"a": 1}], dtype=object), bias=np.float32(0))
    with pytest.raises(ValueError, match="allow_pickle"):
        Classifier.load(tmp_path / "bad.npz")


def test_scores_are_those_of_the_model_that_was_trained() -> None:
    classifier, _ = taught()
    text = f"{prose(7)} the river"
    buckets = np.frombuffer(features([text])[0], dtype=np.uint32)
    expected = classifier.bias + classifier.weights[buckets].astype(np.float64).sum() / np.sqrt(len(buckets))
    assert odds(classifier, [text])[0] == pytest.approx(expected, abs=1e-5)


def test_chinese_needs_no_spaces_and_a_word_counts_once() -> None:
    once, twice = features(["春眠不觉晓", "春眠不觉晓。春眠不觉晓"])
    assert len(once) == 4 * (5 + 4)
    assert set(np.frombuffer(once, np.uint32)) < set(np.frombuffer(twice, np.uint32))
    assert len(twice) == len(once) + 4  # the pair across the full stop


@pytest.mark.parametrize("character", ["a", "é", "春", "🙂"])
def test_only_the_head_of_a_long_document_is_looked_at_and_no_character_is_cut(character: str) -> None:
    head = " ".join(character * n for n in range(1, 40))
    (whole, longer) = features([(head + " ") * 100, (head + " ") * 100 + "something else entirely"])
    assert len((head + " ") * 100) >= MAX_BYTES / 4
    assert whole == longer


@pytest.mark.parametrize("text", ["", " ", "\n", "!?", "a"])
def test_texts_of_no_words_are_scored_too(text: str) -> None:
    classifier = Classifier(np.ones(BUCKETS, dtype=np.float32), 0.25)
    assert odds(classifier, [text]) == [1.25 if text == "a" else 0.25]


def test_a_sample_of_one_kind_has_no_auc() -> None:
    chunked = pa.chunked_array([pa.array(features([prose(n) for n in range(20)]), pa.large_binary())])
    labels = np.arange(20) < 10
    _, auc = learn(chunked, labels, labels & (np.arange(20) < 3))
    assert auc is None

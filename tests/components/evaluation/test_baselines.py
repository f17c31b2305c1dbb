"""The two baselines against values worked out by hand."""

import math
import zlib

import pytest

from components.evaluation.baselines import byte_unigram, zlib_9


def test_two_equally_frequent_bytes_cost_one_bit_each():
    assert byte_unigram([b"abab", b"bbaa"]) == pytest.approx(1.0)


def test_one_byte_repeated_costs_nothing():
    assert byte_unigram([b"aaaa"]) == 0


def test_the_unigram_pools_the_documents_of_a_domain():
    assert byte_unigram([b"aaa", b"b"]) == pytest.approx(-(0.75 * math.log2(0.75) + 0.25 * math.log2(0.25)))


def test_no_frequencies_estimated_elsewhere_do_better_than_the_unigram_baseline():
    held_out, elsewhere = b"the cat sat on the mat", b"a dog ran over a log, the cat sat on it and met another"
    smoothed = {byte: (elsewhere.count(byte) + 1) / (len(elsewhere) + 256) for byte in range(256)}
    cross_entropy = -sum(math.log2(smoothed[byte]) for byte in held_out) / len(held_out)
    assert byte_unigram([held_out]) < cross_entropy


def test_zlib_compresses_each_document_alone():
    document = b"import numpy as np\n" * 80
    assert zlib_9([document, document]) == pytest.approx(8 * len(zlib.compress(document, 9)) / len(document))


@pytest.mark.parametrize("baseline", [byte_unigram, zlib_9])
def test_no_bytes_have_no_bits_per_byte(baseline):
    with pytest.raises(ValueError, match="no bytes"):
        baseline([])

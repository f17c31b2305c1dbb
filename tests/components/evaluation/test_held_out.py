"""What is read of the held-out split, and in which order."""

import numpy as np
import pyarrow as pa
import pytest

from components.errors import ArtifactError
from components.evaluation import held_out
from tests.components.evaluation import conftest


def test_domains_are_those_with_held_out_documents(world):
    assert held_out.domains(world.corpus) == ["code", "prose"]


def test_a_corpus_without_held_out_documents_is_refused(tmp_path):
    with pytest.raises(ArtifactError, match="held-out"):
        held_out.domains(tmp_path)


def test_documents_come_by_id_and_short_ones_are_left_out(tmp_path):
    conftest.write_documents(tmp_path, "code", ["x" * 999, "y" * 1000, "é" * 500, "z" * 2000])
    documents = list(held_out.documents(tmp_path, "code"))
    assert [d.id for d in documents] == sorted(d.id for d in documents)
    assert {d.text[0] for d in documents} == {"y", "é", "z"}


def test_documents_are_taken_in_order_while_they_fit(tmp_path):
    conftest.write_documents(
        tmp_path, "code", [letter * size for letter, size in zip("abcd", (1000, 9000, 1500, 2000), strict=True)]
    )
    order = [d.text[0] for d in held_out.documents(tmp_path, "code")]
    small = [letter for letter in order if letter != "b"]
    assert [d.text[0] for d in held_out.fitting_documents(tmp_path, "code", 4500)] == small
    assert [d.text[0] for d in held_out.fitting_documents(tmp_path, "code", 10**9)] == order


def test_where_no_document_fits_the_first_one_counts(tmp_path):
    conftest.write_documents(tmp_path, "code", ["a" * 3000, "b" * 2000])
    assert held_out.fitting_documents(tmp_path, "code", 5) == list(held_out.documents(tmp_path, "code"))[:1]


def test_a_domain_with_short_documents_only_is_refused_by_name(tmp_path):
    conftest.write_documents(tmp_path, "maths", ["short"])
    with pytest.raises(ArtifactError, match="1000 bytes in maths"):
        held_out.fitting_documents(tmp_path, "maths", 10)


class Shards:
    """Token shards of three documents."""

    def documents(self, split, domain):
        return pa.table({"id": ["a", "b", "c"], "start": [0, 5, 9], "tokens": [5, 4, 3], "bytes": [50, 40, 30]})

    def window(self, split, domain, start, length):
        return np.arange(start, start + length)


def test_only_the_chosen_documents_are_seen():
    chosen = held_out.ChosenDocuments(Shards(), frozenset({"a", "c"}))
    assert chosen.documents("validation", "code")["start"].to_pylist() == [0, 9]
    assert chosen.window("validation", "code", 9, 3).tolist() == [9, 10, 11]


def test_a_chosen_document_without_tokens_is_an_error():
    with pytest.raises(ArtifactError, match="lack document d"):
        held_out.ChosenDocuments(Shards(), frozenset({"a", "d"})).documents("validation", "code")

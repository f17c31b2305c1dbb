"""What is read of the held-out side, and in which order."""

import pytest

from components.errors import ArtifactError
from components.evaluation import held_out


def test_domains_are_those_with_held_out_documents(world):
    assert held_out.domains(world.corpus) == ["code", "prose"]


def test_a_corpus_without_held_out_documents_is_refused(tmp_path):
    with pytest.raises(ArtifactError, match="held-out"):
        held_out.domains(tmp_path)


def test_documents_come_by_id_and_short_ones_are_left_out(world):
    every = list(held_out.documents(world.corpus, "code", 1))
    assert [d.id for d in every] == sorted(d.id for d in every)
    border = sorted(len(d.text.encode()) for d in every)[5]
    kept = list(held_out.documents(world.corpus, "code", border))
    assert kept == [d for d in every if len(d.text.encode()) >= border]


def test_the_first_documents_reach_the_size_asked_for_and_no_more(world):
    every = list(held_out.documents(world.corpus, "prose", 1))
    two = len(every[0].text.encode()) + 1
    assert held_out.first_documents(world.corpus, "prose", minimum_bytes=1, total_bytes=two) == every[:2]
    assert held_out.first_documents(world.corpus, "prose", minimum_bytes=1, total_bytes=10**9) == every

"""What a recipe can bring, in words."""

from components.extensions.kinds import CHECK, FILTER, READER, TASK, kind, kind_of


def test_each_kind_says_what_its_class_looks_like() -> None:
    assert FILTER.form.startswith("a class with a method refusal(self, document) that returns the reason to refuse")
    assert READER.form.startswith("a class with a method read(self, path) that yields the text of each document")
    assert TASK.form.startswith("a class with a method items(self) that yields items")
    assert CHECK.form.startswith("a class with a method tables(self, artifact) that returns tables")


def test_a_field_says_which_kind_it_holds() -> None:
    assert kind_of(kind(READER)) is READER
    assert kind_of({}) is None

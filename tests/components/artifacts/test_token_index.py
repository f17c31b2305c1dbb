"""What token shards hold."""

from tests.components.artifacts.samples import INDEX


def test_the_index_tells_the_training_tokens_of_domains_and_languages() -> None:
    assert INDEX.training_tokens == {"code": 100, "网": 71, "网/en": 50, "网/zh": 21}


def test_a_domain_that_is_not_divided_names_no_languages() -> None:
    assert INDEX.to_json().count("languages") == 1

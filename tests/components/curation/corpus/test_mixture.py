"""Shares follow weights, languages and temperature; epoch limits default to `max_epochs`."""

import pytest

from components.artifacts import Mixture
from components.curation import CurationConfig
from components.curation.corpus.mixture import Sizes, mixture_of, portion_of, require_languages
from components.errors import SourceError
from tests.components.curation.conftest import config, source


def mixed(chosen: CurationConfig, sizes: Sizes | None = None) -> Mixture:
    return mixture_of(chosen.sources, chosen.corpus, sizes)


def test_a_domain_has_the_weights_of_all_its_sources() -> None:
    sources = (source("a", "web", weight=3.0), source("b", "code", weight=4.0), source("c", "web", weight=1.0))
    assert mixed(config(*sources)).shares == {"code": 0.5, "web": 0.5}


def test_a_higher_temperature_raises_the_small_domain() -> None:
    sources = (source("a", "web", weight=9.0), source("b", "maths", weight=1.0))
    shares = mixed(config(*sources, mixture_temperature=2.0)).shares
    assert shares == pytest.approx({"maths": 0.25, "web": 0.75})


def test_a_domain_without_its_own_epoch_limit_has_the_general_one() -> None:
    sources = (source("a", "web"), source("b", "maths"))
    assert mixed(config(*sources, max_epochs_by_domain={"maths": 2.0})).epoch_limits == {"maths": 2.0, "web": 4.0}


SIZES = {"books": {"en": 900}, "web": {"en": 8100, "zh": 100}}


def test_language_shares_are_of_their_domain_and_need_not_sum_to_1() -> None:
    mixture = mixed(config(source("a", "web"), source("b", "books"), language_shares={"web": {"en": 3, "zh": 1}}), SIZES)
    assert mixture.shares == {"books": 0.5, "web": 0.5}
    assert mixture.language_shares == {"web": {"en": 0.75, "zh": 0.25}}


def test_a_language_temperature_levels_the_sizes_of_the_languages_of_each_other_domain() -> None:
    sources = (source("a", "web"), source("b", "books"))
    assert mixed(config(*sources, language_temperature=2.0), SIZES).language_shares == {"web": {"en": 0.9, "zh": 0.1}}
    said = config(*sources, language_temperature=2.0, language_shares={"web": {"en": 1, "zh": 1}})
    assert mixed(said, SIZES).language_shares == {"web": {"en": 0.5, "zh": 0.5}}


@pytest.mark.parametrize(
    ("shares", "words"),
    [
        ({"en": 1, "zh": 1, "code": 1}, "language_shares lists code, but .*; the domain has en 8100 bytes, zh 100 bytes"),
        ({"en": 1, "zh": 1, "other": 1}, "language_shares lists other, but"),
        ({"en": 1}, "language_shares omits zh; the domain has en 8100 bytes, zh 100 bytes: .*`other`"),
    ],
)
def test_languages_that_a_domain_lacks_or_that_no_share_names_are_refused(shares: dict[str, float], words: str) -> None:
    with pytest.raises(SourceError, match=rf"domain web: curation\.corpus\.{words}"):
        require_languages(config(source("a", "web"), language_shares={"web": shares}).corpus, SIZES)


def test_other_stands_for_all_languages_that_are_not_named() -> None:
    chosen = config(source("a", "web"), source("b", "books"), language_shares={"web": {"en": 1, "other": 1}})
    require_languages(chosen.corpus, SIZES)
    portions = [portion_of(mixed(chosen), *document) for document in (("web", "en"), ("web", "zh"), ("books", "zh"))]
    assert portions == ["web/en", "web/other", "books"]

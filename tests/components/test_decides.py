"""What is left of a config where only what decides counts."""

import dataclasses
from dataclasses import dataclass, field

from components.decides import DECIDES_NOTHING, deciding


@dataclass(frozen=True)
class Source:
    name: str
    uri: str = field(default="", metadata=DECIDES_NOTHING)


@dataclass(frozen=True)
class Config:
    sources: tuple[Source, ...] = (Source("web", "/here"),)
    by_name: dict[str, Source] = field(default_factory=lambda: {"web": Source("web", "/here")})
    first: Source | None = None
    seed: int = 0
    keep: bool = field(default=True, metadata=DECIDES_NOTHING)


def test_fields_that_decide_nothing_are_left_out_however_deep() -> None:
    there = Source("web", "/there")
    moved = Config(sources=(there,), by_name={"web": there}, keep=False)
    assert (
        deciding(moved)
        == deciding(Config())
        == {
            "sources": [{"name": "web"}],
            "by_name": {"web": {"name": "web"}},
            "first": None,
            "seed": 0,
        }
    )


def test_every_other_field_counts() -> None:
    assert deciding(Config(seed=1)) != deciding(Config())
    assert deciding(Config(sources=(Source("books", "/here"),))) != deciding(Config())
    assert deciding(Config(first=Source("web"))) != deciding(Config())


def test_a_config_all_of_whose_fields_decide_is_as_dataclasses_make_it() -> None:
    assert deciding(Source("web")) == {"name": "web"}
    assert dataclasses.asdict(Source("web")) == {"name": "web", "uri": ""}

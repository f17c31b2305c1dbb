"""Each group is in one split; splits are balanced by bytes and reproducible."""

from hypothesis import given
from hypothesis import strategies as st

from components.artifacts import TRAIN, VALIDATION
from components.curation.corpus.split import assign

Sizes = dict[str, dict[str, int]]


def held(sizes: Sizes, splits: dict[str, str], domain: str, split: str = VALIDATION) -> int:
    return sum(domains.get(domain, 0) for group, domains in sizes.items() if splits[group] == split)


@given(
    st.dictionaries(
        st.text("abcdefgh", min_size=1, max_size=3),
        st.dictionaries(st.sampled_from(["code", "prose", "maths"]), st.integers(1, 10_000), min_size=1),
        max_size=40,
    ),
    st.sampled_from([0.01, 0.1, 0.5]),
)
def test_every_domain_keeps_something_to_train_on(sizes: Sizes, share: float) -> None:
    splits = assign(sizes, {}, share=share, seed=0)
    assert splits.keys() == sizes.keys()
    for domain in ("code", "prose", "maths"):
        assert held(sizes, splits, domain, TRAIN) > 0 or not any(domain in domains for domains in sizes.values())


@given(st.lists(st.integers(1, 1000), min_size=2, max_size=30), st.sampled_from([0.01, 0.1]))
def test_a_domain_of_two_groups_or_more_has_both_splits(sizes: list[int], share: float) -> None:
    named: Sizes = {str(number): {"prose": size} for number, size in enumerate(sizes)}
    splits = assign(named, {}, share=share, seed=0)
    assert set(splits.values()) == {TRAIN, VALIDATION}


def test_many_small_groups_come_close_to_the_share() -> None:
    sizes: Sizes = {str(number): {"prose": 100 + number % 50} for number in range(2000)}
    splits = assign(sizes, {}, share=0.1, seed=0)
    total = sum(domains["prose"] for domains in sizes.values())
    assert 0.095 < held(sizes, splits, "prose") / total <= 0.1


def test_the_nearest_group_is_held_out_where_none_fits() -> None:
    sizes: Sizes = {"large": {"maths": 900}, "middle": {"maths": 300}, "small": {"maths": 200}}
    assert assign(sizes, {}, share=0.05, seed=0) == {"large": TRAIN, "middle": TRAIN, "small": VALIDATION}


def test_a_group_of_several_domains_is_chosen_for_all_of_them() -> None:
    sizes: Sizes = {
        "a": {"maths": 100, "code": 100_000},
        "b": {"maths": 100, "code": 100},
        "c": {"maths": 2000, "code": 1000},
        "d": {"code": 1900},
    }
    splits = assign(sizes, {}, share=0.05, seed=0)
    assert splits["b"] == VALIDATION
    assert splits["a"] == splits["c"] == TRAIN


def test_linked_groups_are_in_one_split_whatever_the_seed() -> None:
    sizes: Sizes = {str(number): {"prose": 100} for number in range(20)}
    linked = {"0": ("1",), "1": ("0", "2"), "2": ("1",), "empty": ("2",)}
    for seed in range(30):
        splits = assign(sizes, linked, share=0.3, seed=seed)
        assert splits["0"] == splits["1"] == splits["2"] == splits["empty"]


def test_groups_without_documents_are_drawn_by_the_share() -> None:
    linked: dict[str, tuple[str, ...]] = {f"package-{number}": () for number in range(1000)}
    splits = assign({"a": {"prose": 1}, "b": {"prose": 1}}, linked, share=0.2, seed=0)
    assert 150 < sum(split == VALIDATION for split in splits.values()) < 250


def test_the_seed_decides_and_the_order_of_groups_does_not() -> None:
    sizes: Sizes = {str(number): {"prose": 100} for number in range(50)}
    backwards = dict(reversed(sizes.items()))
    assert assign(sizes, {}, share=0.2, seed=1) == assign(backwards, {}, share=0.2, seed=1)
    assert assign(sizes, {}, share=0.2, seed=1) != assign(sizes, {}, share=0.2, seed=2)

"""Personal data is replaced by the mark of its kind; text that only looks similar stays."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.curation.config import PERSONAL_DATA
from components.curation.filtering.personal_data import IN_CODE, KINDS, luhn, mark_of, without_personal_data
from components.errors import ConfigError
from tests.components.curation.conftest import config, documents, prose, rows, run, source, write_jsonl

REAL = {
    "email": ["ada.lovelace@example.co.uk", "a+b@x.org"],
    # Addresses of public name servers.
    "ipv4": ["8.8.8.8", "1.1.1.1"],
    "ipv6": ["2001:4860:4860::8888", "2606:4700:4700:0:0:0:0:1111"],
    # Numbers that their standards and networks publish as examples.
    "iban": ["GB82 WEST 1234 5698 7654 32", "DE89370400440532013000", "FR1420041010050500013M02606"],
    "card": ["4111 1111 1111 1111", "5500005555555559", "3782-822463-10005"],
    "chinese-identity": ["11010519491231002X"],
    "phone": [
        *("+1 415 555 2671", "(415) 555-2671", "+44 20 7946 0958", "13800138000", "010-62770334", "+86 138 0013 8000"),
        *("415-555-2671", "1-800-555-1234", "1-(800) 555-1234", "415.555.2671"),
    ],
}
LOOKALIKES = [
    "version 1.415.555.2671",
    "415.555-2671",
    "0.415.555.2671.9",
    "version 1.2.3.4",
    "127.0.0.1",
    "192.168.1.20",
    "300.1.1.1",
    "1.2.3.4.5",
    "std::vector::begin",
    "12:30:45",
    "fe80::1",
    "@decorator",
    "a @ b",
    "GB82 WEST 1234 5698 7654 33",
    "4111 1111 1111 1112",
    "1111 1111 1111 1111",
    "110105194912310021",
    "110105194913310020",
    "0.13800138000",
    "3.14159265358979",
    "2024-01-15",
    "1914-1918",
    "12345678901234567890",
    "x13800138000",
]


@pytest.mark.parametrize(("kind", "text"), [(kind, text) for kind, texts in REAL.items() for text in texts])
def test_each_kind_is_replaced_wherever_it_stands_in_prose(kind: str, text: str) -> None:
    for around in ("Write to {} today.", "{}", "（{}）", "call: {},", "联系方式是{}。"):
        replaced, counts = without_personal_data(around.format(text), PERSONAL_DATA, code=False)
        assert (replaced, dict(counts)) == (around.format(mark_of(kind)), {kind: 1})


@pytest.mark.parametrize("text", LOOKALIKES)
def test_what_only_looks_like_personal_data_stays(text: str) -> None:
    for around in ("It is {} here.", "{}"):
        assert without_personal_data(around.format(text), PERSONAL_DATA, code=False) == (around.format(text), {})


def test_rows_of_digits_in_code_are_constants() -> None:
    code = "PORT = 13800138000  # root@example.org on 8.8.8.8\n"
    assert without_personal_data(code, PERSONAL_DATA, code=True)[0] == "PORT = 13800138000  # <EMAIL> on <IPV4>\n"
    assert set(PERSONAL_DATA) >= IN_CODE


def test_only_the_chosen_kinds_are_replaced() -> None:
    assert without_personal_data("a@x.org 8.8.8.8", ("ipv4",), code=False) == ("a@x.org <IPV4>", {"ipv4": 1})
    assert set(KINDS) == set(PERSONAL_DATA)
    with pytest.raises(ConfigError, match="personal_data"):
        config(source("x"), personal_data=("name",))


@given(st.text(alphabet="0123456789", min_size=2, max_size=30))
def test_exactly_one_last_digit_passes_luhns_sum(digits: str) -> None:
    assert sum(luhn(digits + last) for last in "0123456789") == 1


@given(st.text(alphabet="0123456789 .:-@+()xXaAgG\n", max_size=300))
def test_any_row_of_digits_and_marks_comes_to_an_end_and_a_second_pass_finds_nothing(text: str) -> None:
    once, _ = without_personal_data(text, PERSONAL_DATA, code=False)
    again, counts = without_personal_data(once, ("email", "card", "iban"), code=False)
    assert (again, dict(counts)) == (once, {})


@pytest.mark.parametrize("repeated", ["1", "1 ", "a@", "a.", "1:", "AA11 ", "1-", "+1 (1) "])
def test_a_hostile_megabyte_comes_to_an_end(repeated: str) -> None:
    text, _ = without_personal_data(repeated * (1_000_000 // len(repeated)), PERSONAL_DATA, code=False)
    assert text


def test_a_corpus_counts_what_it_replaced_by_source_and_kind(tmp_path: Path) -> None:
    lines = [prose(number) for number in range(6)]
    lines[0] += " Write to ada@example.org or bob@example.org from 8.8.8.8."
    lines[1] += " Write to ada@example.org."
    web = write_jsonl(tmp_path / "web.jsonl", lines)
    run(config(source(web), personal_data=("email", "ipv4")), tmp_path)
    named = {"source": web.stem, "domain": "prose"}
    assert rows(tmp_path / "corpus/metrics/personal_data.parquet") == [
        {**named, "kind": "email", "documents": 2, "found": 3},
        {**named, "kind": "ipv4", "documents": 1, "found": 1},
    ]
    assert not any("@" in row["text"] for row in documents(tmp_path))
    assert sum("<EMAIL>" in row["text"] for row in documents(tmp_path)) == 2

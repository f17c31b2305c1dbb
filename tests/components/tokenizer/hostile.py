"""Texts that are meant to break an encoder, as strategies of hypothesis and by hand."""

from hypothesis import strategies as st

from components.tokenizer.special_tokens import names

CHARACTERS = st.characters(exclude_categories=["Cs"])

SPELLED = (
    *names(15),
    "<｜",
    "▁",
    "\r\n",
    "\n\n    ",
    " \u3000 ",
    "\x85",
    "2024",
    "中文",
    "一〇二",
    "\0",
    "e\u0301",
    "👩\u200d👧",
    "\ufeff",
)

RUNS = st.builds(
    lambda unit, times: unit * times,
    st.sampled_from([*" \t\na1中〇ー🦜é=\0\u3000\u0301", "\r\n", "ab", " a", "  ."]),
    st.integers(1, 200),
)

TEXTS = st.lists(st.one_of(st.text(CHARACTERS, max_size=8), st.sampled_from(SPELLED), RUNS), max_size=8).map("".join)

MEGABYTE = 1_000_000

MEGABYTES = {
    "one letter": "a" * MEGABYTE,
    "letters": "thequickbrownfox" * (MEGABYTE // 16),
    "digits": "31415926" * (MEGABYTE // 8),
    "spaces": " " * MEGABYTE,
    "newlines": "\n" * MEGABYTE,
    "CJK": "大学之道在明明德" * (MEGABYTE // 24),
    "emoji": "🦜👩\u200d👧" * (MEGABYTE // 15),
    "punctuation": "=-+*" * (MEGABYTE // 4),
    "control characters": "\x00\x01\x7f" * (MEGABYTE // 3),
    "pieces just too long": (" " + "b" * 128) * (MEGABYTE // 129),
    "combining marks": "e" + "\u0301" * (MEGABYTE // 2),
}

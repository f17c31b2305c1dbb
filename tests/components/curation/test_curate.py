"""Curation as a whole: its output is complete, correct and reproducible."""

import gzip
import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from components.artifacts import Mixture
from components.curation import CurationConfig, tables
from components.curation.reading.sources import locate
from components.curation.text.draw import group_of, hash_of
from components.errors import SourceError
from components.ports import RecordedMetrics
from components.python_environment import split_module
from tests.components.curation.conftest import config, documents, prose, rows, run, source, write_jsonl
from tests.paths import SHARED

pytestmark = pytest.mark.long

PACKAGES = ("packaging", "typing-extensions", "mpmath", "networkx", "click", "attrs")
GUTENBERG = SHARED / "data/corpus/gutenberg"


def environment(**fields: Any) -> CurationConfig:
    """Code, prose and maths of a few real packages, about 2 MB."""
    sources = (
        source("python-environment:", "code", weight=2.0, distributions=PACKAGES, sample_bytes=600_000),
        source("python-environment:", "prose", distributions=PACKAGES),
        source("python-environment:", "maths", distributions=PACKAGES, sample_bytes=1_500_000),
    )
    return config(*sources, **{"shard_bytes": 300_000, "max_repeated_lines": 0.5, **fields})


def hashes(directory: Path) -> dict[str, str]:
    files = sorted(path for path in (directory / "corpus").rglob("*") if path.is_file())
    return {path.relative_to(directory).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture(scope="module")
def curated(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any], RecordedMetrics]:
    directory, metrics = tmp_path_factory.mktemp("curated"), RecordedMetrics()
    return directory, run(environment(), directory, metrics=metrics), metrics


def test_an_environment_gives_a_whole_corpus_of_three_domains_with_both_sides(curated: Any) -> None:
    directory, figures, _ = curated
    assert {path.relative_to(directory / "corpus").parts[1:3] for path in (directory / "corpus").glob("documents/*/*/*")} == {
        (split, domain) for split in ("train", "validation") for domain in ("code", "prose", "maths")
    }
    for domain in ("code", "prose", "maths"):
        assert figures["domains"][domain]["train"] > figures["domains"][domain]["validation"] > 1000
    assert json.dumps(figures)


def test_the_schemas_are_what_later_stages_read(curated: Any) -> None:
    corpus = curated[0] / "corpus"
    for path in corpus.glob("documents/*/*/*.parquet"):
        assert pq.read_schema(path).equals(tables.DOCUMENTS)
    for name, schema in {
        "groups": tables.GROUPS,
        "raw": tables.RAW,
        "removed": tables.REMOVED,
        "metrics/documents": tables.METRICS,
        "metrics/sources": tables.SOURCES,
    }.items():
        assert pq.read_schema(corpus / f"{name}.parquet").equals(schema), name


def test_rows_come_sorted_by_the_hashes_of_their_texts_over_the_files_of_a_domain(curated: Any) -> None:
    for domain in (curated[0] / "corpus/documents/train").iterdir():
        hashes = [hash_of(row["text"].encode()) for path in sorted(domain.iterdir()) for row in rows(path)]
        assert hashes == sorted(hashes)
        assert len(set(hashes)) == len(hashes)
    assert len(list((curated[0] / "corpus/documents/train/maths").iterdir())) > 1


def test_a_distribution_is_never_parted_and_every_one_has_its_side(curated: Any) -> None:
    directory = curated[0]
    splits = {row["group"]: row["split"] for row in rows(directory / "corpus/groups.parquet")}
    assert set(PACKAGES) <= splits.keys()
    for split in ("train", "validation"):
        assert {splits[row["group"]] for row in documents(directory, split)} == {split}


def test_the_metrics_table_has_every_document_once_and_agrees_with_the_corpus(curated: Any) -> None:
    directory, figures, _ = curated
    listed = rows(directory / "corpus/metrics/documents.parquet")
    kept = {row["id"]: row for row in listed if row["kept"]}
    assert len(listed) == figures["documents"] == len({row["id"] for row in listed})
    assert kept.keys() == {row["id"] for row in documents(directory)}
    assert all(row["bytes"] == kept[row["id"]]["bytes"] == len(row["text"].encode()) for row in documents(directory))
    assert all((row["reason"] == "") == row["kept"] == (row["split"] is not None) for row in listed)


def test_the_sources_table_adds_up(curated: Any) -> None:
    directory, figures, _ = curated
    listed = rows(directory / "corpus/metrics/sources.parquet")
    assert [row["domain"] for row in listed] == ["code", "prose", "maths"]
    for row in listed:
        assert row["documents"] == row["kept_documents"] + row["refused_documents"] + row["duplicate_documents"]
    assert sum(row["kept_bytes"] for row in listed) == figures["kept_bytes"]
    assert sum(row["documents"] for row in listed) == figures["documents"]


def test_every_raw_file_is_listed_once_with_its_hash(curated: Any) -> None:
    listed = rows(curated[0] / "corpus/raw.parquet")
    lay = {(row["source"], row["path"]): row["uri"] for row in rows(curated[0] / "corpus/locations.parquet")}
    assert len({row["path"] for row in listed}) == len(listed)
    for row in listed[:50]:
        data = Path(locate(lay[row["source"], row["path"]])).read_bytes()
        assert (hashlib.sha256(data).hexdigest(), len(data)) == (row["sha256"], row["bytes"])
    paths = {row["path"] for row in listed}
    assert all(row["uri"].partition("#")[0] in paths for row in documents(curated[0]))


def test_the_mixture_reads_back(curated: Any) -> None:
    mixture = Mixture(**json.loads((curated[0] / "corpus/mixture.json").read_text()))
    assert mixture.shares == {"code": 0.5, "maths": 0.25, "prose": 0.25}


def test_progress_runs_to_the_end_in_bytes(curated: Any) -> None:
    seen = curated[2].seen
    assert len(seen) > 3
    assert seen == sorted(seen)
    assert seen[-1][0] == seen[-1][1]


def test_the_same_sources_and_config_give_the_same_bytes(curated: Any, tmp_path: Path) -> None:
    directory, figures, _ = curated
    assert run(environment(), tmp_path) == figures
    assert hashes(tmp_path) == hashes(directory)


def test_other_shard_sizes_give_the_same_documents_on_the_same_sides(curated: Any, tmp_path: Path) -> None:
    run(environment(shard_bytes=10**8), tmp_path)
    for split in ("train", "validation"):
        assert sorted(d["id"] for d in documents(tmp_path, split)) == sorted(d["id"] for d in documents(curated[0], split))
    assert rows(tmp_path / "corpus/removed.parquet") == rows(curated[0] / "corpus/removed.parquet")


def test_a_source_of_which_nothing_is_kept_says_why(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "a.jsonl", [prose(1)])
    write_jsonl(tmp_path / "b.jsonl", ["short", "shorter", None])
    with pytest.raises(SourceError, match=r"b \(.*b\.jsonl\): all of its 3 documents were refused \(1 bad-line, 2 short\)"):
        run(config(source(tmp_path / "a.jsonl"), source(tmp_path / "b.jsonl", "web")), tmp_path)


def test_a_source_that_another_holds_too_may_vanish_but_a_domain_may_not(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_jsonl(tmp_path / f"{name}.jsonl", [prose(1)])
    first, second = tmp_path / "a.jsonl", tmp_path / "b.jsonl"
    assert run(config(source(first), source(second)), tmp_path / "x")["kept_documents"] == 1
    with pytest.raises(
        SourceError,
        match=r"no document of domain .* is kept: .* are duplicates of documents in other domains",
    ):
        run(config(source(first), source(second, "web")), tmp_path / "y")


def test_a_compressed_file_of_nothing_holds_no_documents(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(b""))
    with pytest.raises(SourceError, match=r"a \(.*a\.jsonl\.gz\): no documents of domain"):
        run(config(source(tmp_path / "a.jsonl.gz")), tmp_path)


def test_documents_of_a_user_stand_for_themselves_beside_distributions(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "a.jsonl", [prose(number) for number in range(3)])
    run(config(source(tmp_path / "a.jsonl"), source("python-environment:", "code", distributions=PACKAGES[:2])), tmp_path)
    groups = {row["group"]: row["source"] for row in rows(tmp_path / "corpus/groups.parquet")}
    own = {group_of(hash_of(row["text"].encode())) for row in documents(tmp_path) if row["domain"] == "prose"}
    assert groups == {**dict.fromkeys(PACKAGES[:2], "code-python-environment"), **dict.fromkeys(own, "a")}


def test_a_copy_of_a_packages_text_in_a_users_source_is_found(tmp_path: Path) -> None:
    code = split_module(Path(locate("python-environment:packaging/packaging/tags.py")).read_text(), "packaging.tags").code
    (tmp_path / "a.txt").write_text(code.replace("\n", "  \r\n"))
    package = source("python-environment:", "code", distributions=PACKAGES[:1])
    figures = run(config(source(tmp_path, "code"), package), tmp_path)
    assert figures["not_kept"]["exact-duplicate"] == 1
    assert sum("def _normalize_string" in row["text"] for row in documents(tmp_path)) == 1


@pytest.mark.skipif(not GUTENBERG.is_dir(), reason="needs the Gutenberg editions of ../shared/data")
def test_editions_of_one_book_leave_one_and_the_evidence_is_their_true_similarity(tmp_path: Path) -> None:
    run(config(source(GUTENBERG), min_characters=200), tmp_path)
    kept = {row["uri"] for row in documents(tmp_path)}
    assert len(kept & {"2600-0.txt", "2600.txt", "wrnpc12.txt"}) == 1
    assert len(kept & {"2701-0.txt", "2701.txt"}) == 1
    similarities = sorted(row["similarity"] for row in rows(tmp_path / "corpus/removed.parquet"))
    # War and Peace: 0.84 between 2600-0 and the others, 0.99 between those two; Moby-Dick: 0.97 (our own count).
    assert similarities in (
        [pytest.approx(v, abs=0.01) for v in expected] for expected in ([0.84, 0.84, 0.97], [0.84, 0.97, 0.99])
    )


def test_a_damaged_file_is_set_aside_with_its_error_and_the_rest_becomes_a_corpus(tmp_path: Path) -> None:
    (tmp_path / "web").mkdir()
    write_jsonl(tmp_path / "web/a.jsonl", [prose(number) for number in range(6)])
    (tmp_path / "web/b.jsonl.gz").write_bytes(gzip.compress(b'{"text": "x"}\n' * 1000)[:-4])
    figures = run(config(source(tmp_path / "web")), tmp_path)
    assert (figures["kept_documents"], figures["set_aside_files"]) == (6, 1)
    (aside,) = rows(tmp_path / "corpus/metrics/set_aside.parquet")
    assert (aside["path"], aside["bytes"]) == ("b.jsonl.gz", (tmp_path / "web/b.jsonl.gz").stat().st_size)
    assert [row["set_aside_files"] for row in rows(tmp_path / "corpus/metrics/sources.parquet")] == [1]
    assert [row["path"] for row in rows(tmp_path / "corpus/shards.parquet")] == ["a.jsonl", "b.jsonl.gz"]


def test_a_rerun_over_sources_that_changed_is_refused(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "a.jsonl", [prose(number) for number in range(6)])
    run(config(source(tmp_path / "a.jsonl")), tmp_path)
    # Different words with the same number of bytes.
    write_jsonl(tmp_path / "a.jsonl", [prose(number)[::-1] for number in range(6)])
    shutil.rmtree(tmp_path / "corpus")
    with pytest.raises(SourceError, match=r"the sources changed since this run started; delete .*/scratch to start again"):
        run(config(source(tmp_path / "a.jsonl")), tmp_path)


def test_a_rerun_with_another_config_is_refused_with_the_fields_that_changed(tmp_path: Path) -> None:
    web = source(write_jsonl(tmp_path / "a.jsonl", [prose(number, 60 + 20 * number) for number in range(6)]))
    run(config(web), tmp_path)
    changed = r"CurationConfig\.filtering\.max_characters, CurationConfig\.seed changed since this run started"
    shutil.rmtree(tmp_path / "corpus")
    with pytest.raises(SourceError, match=changed):
        run(config(web, max_characters=700, seed=7), tmp_path)
    shutil.rmtree(tmp_path / "corpus")
    assert run(config(web), tmp_path)["documents"] == 6


def test_another_list_of_flagged_words_is_taken_in_the_same_process_and_place(tmp_path: Path) -> None:
    web = source(write_jsonl(tmp_path / "a.jsonl", [prose(1), f"{prose(2)} grog grog grog grog grog", prose(3)]))
    for word, refused in (("rum", 0), ("grog", 1)):
        (tmp_path / "words.txt").write_text(word)
        figures = run(config(web, flagged_words={"en": str(tmp_path / "words.txt")}), tmp_path)
        assert figures["not_kept"].get("flagged-words", 0) == refused
        shutil.rmtree(tmp_path / "corpus")
        shutil.rmtree(tmp_path / "scratch")


def test_files_that_are_not_read_are_counted_by_suffix_and_stand_in_the_plan(tmp_path: Path) -> None:
    (tmp_path / "web").mkdir()
    write_jsonl(tmp_path / "web/a.jsonl", [prose(number) for number in range(6)])
    for name in ("b.json", "c.json", "d.csv.gz", "LICENSE"):
        (tmp_path / "web" / name).write_text("not read")
    figures = run(config(source(tmp_path / "web")), tmp_path)
    assert figures["files_not_read"] == {".csv.gz": 1, ".json": 2, "none": 1}
    plan = rows(tmp_path / "corpus/shards.parquet")
    assert {(row["path"], row["shard"]) for row in plan} == {
        ("a.jsonl", 0),
        *((name, None) for name in ("b.json", "c.json", "d.csv.gz", "LICENSE")),
    }


def test_what_was_not_kept_is_counted_by_source_domain_language_and_reason(tmp_path: Path) -> None:
    lines = [*(prose(number) for number in range(6)), "too short", "知止而后有定；定而后能静；静而后能安。" * 2 + "虑而后能得"]
    web = write_jsonl(tmp_path / "web.jsonl", lines)
    run(config(source(web), heuristics=("gopher-quality",), heuristic_thresholds={"gopher-short-words": 1}), tmp_path)
    refusals = rows(tmp_path / "corpus/metrics/refusals.parquet")
    assert {(row["language"], row["reason"]): row["documents"] for row in refusals} == {
        ("en", ""): 6,
        ("other", "short"): 1,
        ("zh", "gopher-few-words"): 1,
    }
    assert {(row["source"], row["domain"]) for row in refusals} == {("web", "prose")}
    assert sum(row["bytes"] for row in refusals) == sum(len(line.encode()) + 1 for line in lines)


def mixed(directory: Path, **fields: Any) -> CurationConfig:
    """A domain in English and Chinese, and one only in English."""
    chinese = ["".join(chr(0x4E00 + (seed * 7919 + i * i * 31 + i * 17) % 20_000) for i in range(120)) for seed in range(20)]
    write_jsonl(directory / "web.jsonl", [*(prose(number) for number in range(20)), *chinese])
    write_jsonl(directory / "books.jsonl", [prose(number) for number in range(100, 110)])
    return config(source(directory / "web.jsonl", "web"), source(directory / "books.jsonl", "books"), **fields)


def test_languages_with_shares_lie_apart_to_train_on_and_together_where_they_are_held_out(tmp_path: Path) -> None:
    (tmp_path / "apart").mkdir()
    run(mixed(tmp_path, language_shares={"web": {"en": 3.0, "other": 1.0}}), tmp_path / "apart")
    corpus = tmp_path / "apart/corpus"
    directories = {str(path.parent.relative_to(corpus)): path for path in corpus.glob("documents/**/*.parquet")}
    train = {f"documents/train/{portion}" for portion in ("books", "web/en", "web/other")}
    assert directories.keys() == train | {f"documents/validation/{domain}" for domain in ("books", "web")}
    for language, tag in (("en", "en"), ("other", "zh")):
        assert {row["language"] for row in rows(corpus / f"documents/train/web/{language}")} == {tag}
    assert Mixture(**json.loads((corpus / "mixture.json").read_bytes())).language_shares == {"web": {"en": 0.75, "other": 0.25}}


def test_the_split_and_the_documents_do_not_depend_on_language_shares(tmp_path: Path) -> None:
    kept = {}
    for name, fields in (("together", {}), ("apart", {"language_temperature": 3.0})):
        (tmp_path / name).mkdir()
        run(mixed(tmp_path, **fields), tmp_path / name)
        directory = tmp_path / name / "corpus/documents"
        kept[name] = sorted(
            (s.name, row["id"]) for s in directory.iterdir() for path in s.rglob("*.parquet") for row in rows(path)
        )
    assert kept["apart"] == kept["together"]
    assert {path.name for path in (tmp_path / "apart/corpus/documents/train/web").iterdir()} == {"en", "zh"}
    assert list((tmp_path / "together/corpus/documents/train/web").glob("*.parquet"))


def test_a_language_with_a_share_that_no_document_has_is_refused_with_what_there_is(tmp_path: Path) -> None:
    with pytest.raises(
        SourceError,
        match=r"domain web: curation\.corpus\.language_shares lists code, .*; the domain has en \d+ bytes, zh \d+ bytes",
    ):
        run(mixed(tmp_path, language_shares={"web": {"en": 1.0, "zh": 1.0, "code": 1.0}}), tmp_path / "run")

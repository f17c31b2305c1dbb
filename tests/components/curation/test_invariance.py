"""The folders, files and order of documents change no kept text and no split."""

import hashlib
import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from components.artifacts import Artifact
from components.curation import CurationConfig, QualityConfig
from components.curation.curate import curate
from components.curation.reading.sources import fingerprint
from components.ports import InProcessShardEngine, RecordedMetrics
from tests.components.curation.conftest import config, documents, prose, rows, run, source, write_jsonl

SHIFTED = [f"word{chr(97 + i // 26)}{chr(97 + i % 26)} of the" for i in range(240)]
"""Overlapping runs of these words are similar only to their neighbours."""


def corpus_texts() -> dict[str, list[str]]:
    """Texts by source: clusters of near-duplicates, copies within and across sources, short texts, and unique texts."""
    chains = [" ".join(SHIFTED[20 * step : 20 * step + 200]).replace("word", letter * 3) for letter in "abc" for step in range(3)]
    web = [*(prose(number) for number in range(30)), *chains, *[prose(3)] * 3, "short", "shorter"]
    forum = [*(prose(number) for number in range(20, 45)), prose(7, 300), prose(7, 300).replace("one", "two", 2)]
    return {"web": web, "forum": forum}


def layout(directory: Path, files: Mapping[str, Sequence[Sequence[str]]]) -> CurationConfig:
    """Sources `web` and `forum` with these files below a directory, and references for a quality score."""
    sources = []
    for name, own in files.items():
        (directory / name).mkdir(parents=True)
        for number, texts in enumerate(own):
            write_jsonl(directory / name / f"{len(own)}-{number}.jsonl", texts)
        sources.append(source(directory / name, name))
    references = write_jsonl(directory / "reference.jsonl", [f"{prose(n)} river mill" for n in range(1000, 1040)])
    quality = QualityConfig(references=(source(references),), min_documents=10, sample_documents=24, max_refused_share=0.2)
    return config(*sources, quality=quality, kinds=("line", "substring"), samples=2)


def divided(texts: Sequence[str], files: int, seed: int | None = None) -> list[list[str]]:
    """The texts divided into several files, in order or shuffled."""
    order = list(texts)
    if seed is not None:
        random.Random(seed).shuffle(order)
    return [order[number::files] for number in range(files)]


def outcome(directory: Path) -> dict[str, Any]:
    """What must not depend on names: kept texts by split with their quality, refusals by reason, and the classifiers."""
    corpus = directory / "corpus"
    listed = rows(corpus / "metrics/documents.parquet")
    return {
        "kept": {split: sorted((d["domain"], d["text"], d["quality"]) for d in documents(directory, split)) for split in SPLITS},
        "order": [document["text"] for split in SPLITS for document in documents(directory, split)],
        "reasons": sorted((row["domain"], row["bytes"], row["reason"]) for row in listed),
        "groups": sorted((row["group"], row["split"]) for row in rows(corpus / "groups.parquet")),
        "samples": sorted((row["step"], row["before"], row["after"]) for row in rows(corpus / "samples.parquet")),
        "audit": sorted((row["reason"], row["counted"]) for row in rows(corpus / "metrics/audit.parquet")),
        "classifiers": {path.name: path.read_bytes() for path in (corpus / "quality").iterdir()},
    }


SPLITS = ("train", "validation")


@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.long), pytest.param(2, marks=pytest.mark.long)])
def test_one_file_or_five_in_any_order_give_the_same_texts_the_same_quality_and_the_same_split(tmp_path: Path, seed: int) -> None:
    texts = corpus_texts()
    run(layout(tmp_path / "one", {name: divided(own, 1) for name, own in texts.items()}), tmp_path / "a")
    run(layout(tmp_path / "five", {name: divided(own, 5, seed) for name, own in texts.items()}), tmp_path / "b")
    single, five = outcome(tmp_path / "a"), outcome(tmp_path / "b")
    assert single == five
    reasons = {reason for _, _, reason in single["reasons"]}
    assert reasons >= {"", "short", "exact-duplicate", "near-duplicate", "low-quality"}
    assert all(single["kept"].values())


def content(directory: Path) -> dict[str, str]:
    """The digests of all files of a corpus, except those that belong to its record."""
    files = sorted(path for path in (directory / "corpus").rglob("*") if path.is_file())
    record = Artifact.RECORD_FILES
    return {
        path.relative_to(directory).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in files
        if not any(path.match(pattern) for pattern in record)
    }


def test_a_moved_folder_gives_the_same_bytes_and_is_not_read_again(tmp_path: Path) -> None:
    files = {name: divided(own, 2) for name, own in corpus_texts().items()}
    made, read = [], []
    for root in ("here", "there/deeper"):
        chosen, metrics = layout(tmp_path / root, files), RecordedMetrics()
        output, scratch = tmp_path / root / "made/corpus", tmp_path / root / "scratch"
        output.mkdir(parents=True)
        engine = InProcessShardEngine()
        curate(chosen, output=output, scratch=scratch, engine=engine, metrics=metrics, index=tmp_path / "index")
        made.append((content(output.parent), fingerprint(chosen.inputs)))
        read.append(metrics.values[0]["documents_read"])
        assert not [name for name in content(output.parent) if str(tmp_path).encode() in (output.parent / name).read_bytes()]
        assert {row["uri"].startswith(str(tmp_path / root)) for row in rows(output / "locations.parquet")} == {True}
    assert made[0] == made[1]
    assert (read[0] > 60, read[1]) == (True, 0)


def test_copies_in_two_domains_stay_where_their_texts_say_and_where_they_are_better(tmp_path: Path) -> None:
    shared = [prose(number) for number in range(40)]
    kept = []
    for directory, files in ((tmp_path / "a", 1), (tmp_path / "b", 4)):
        sources = []
        for weight, name in enumerate(("books", "web"), start=1):
            (directory / name).mkdir(parents=True)
            for number, texts in enumerate(divided([*shared, prose(100 + weight)], files, weight)):
                write_jsonl(directory / name / f"{files}-{number}.jsonl", texts)
            sources.append(source(directory / name, name, weight=float(weight)))
        run(config(*(sources if files == 1 else sources[::-1])), directory)
        kept.append({document["text"]: document["domain"] for document in documents(directory)})
    assert kept[0] == kept[1]
    domains = [kept[0][text] for text in kept[0]]
    assert 8 < domains.count("books") < 34


def test_a_sample_takes_the_same_rows_and_files_under_other_names(tmp_path: Path) -> None:
    taken = []
    for root, files in (("a", 1), ("b", 6)):
        (tmp_path / root).mkdir()
        for number, texts in enumerate(divided([prose(n) for n in range(60)], files, files)):
            write_jsonl(tmp_path / root / f"{number}.jsonl", texts)
        chosen = source(tmp_path / root, sample_bytes=12_000)
        run(config(chosen), tmp_path / root / "made")
        taken.append({document["text"] for document in documents(tmp_path / root / "made")})
    assert taken[0] == taken[1]
    assert 10 < len(taken[0]) < 50
    for root in ("c", "d"):
        (tmp_path / root).mkdir()
        for number in range(40):
            name = number if root == "c" else 99 - number
            (tmp_path / root / f"{name}.txt").write_text(prose(number), encoding="utf-8")
        run(config(source(tmp_path / root, sample_bytes=12_000)), tmp_path / root / "made")
        taken.append({document["text"] for document in documents(tmp_path / root / "made")})
    assert taken[2] == taken[3]
    assert 10 < len(taken[2]) < 40

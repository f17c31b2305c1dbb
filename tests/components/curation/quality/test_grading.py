"""Documents like the references are kept, and no language or domain loses more than the allowed share."""

import hashlib
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from components.checks.corpus import check
from components.checks.limits import CorpusLimits
from components.curation import CurationConfig, QualityConfig
from components.curation.duplicates.sketches import bytes_of
from components.curation.quality.classifier import Classifier
from components.curation.reading.sources import fingerprint
from components.curation.tables.reasons import LOW_QUALITY
from components.errors import SourceError
from components.ports import InProcessShardEngine
from tests.components.curation.conftest import changed, config, documents, prose, rows, run, source, write_jsonl
from tests.components.curation.duplicates.test_deduplication_proof import PoolEngine

pytestmark = pytest.mark.long

CHINESE = "春眠不觉晓处处闻啼鸟夜来风雨声花落知多少白日依山尽黄河入海流欲穷千里目更上一层楼"


def good(number: int) -> str:
    return f"{prose(number)} the river runs past the old mill and the willows"


def poor(number: int) -> str:
    return f"{prose(number)} buy now at the best price with a free coupon"


def chinese(number: int) -> str:
    return "".join(CHINESE[(number * 7 + position * (number % 11 + 1)) % len(CHINESE)] for position in range(80)) + "。"


@pytest.fixture
def sources(tmp_path: Path) -> CurationConfig:
    """Web pages, half of them poor; a poor forum; and a little Chinese without references."""
    for name in ("web", "forum", "reference"):
        (tmp_path / name).mkdir()
    web = [good(n) if n % 2 else poor(n) for n in range(120)] + [chinese(n) for n in range(30)]
    write_jsonl(tmp_path / "web/a.jsonl", web)
    write_jsonl(tmp_path / "forum/a.jsonl", [poor(n) for n in range(1000, 1040)])
    write_jsonl(tmp_path / "reference/a.jsonl", [good(n) for n in range(2000, 2080)])
    quality = QualityConfig(
        references=(source(tmp_path / "reference", "encyclopedia"),),
        max_refused_share=0.25,
        min_documents=30,
        sample_documents=60,
    )
    return config(source(tmp_path / "web", "web"), source(tmp_path / "forum", "forum"), quality=quality, shard_bytes=40_000)


def listed(directory: Path) -> list[dict[str, Any]]:
    return rows(directory / "corpus/metrics/documents.parquet")


def test_the_poor_go_and_every_language_of_every_domain_keeps_its_share(sources: CurationConfig, tmp_path: Path) -> None:
    figures = run(sources, tmp_path)
    refused = [row for row in listed(tmp_path) if row["reason"] == LOW_QUALITY]
    counts = Counter((row["language"], row["domain"]) for row in refused)
    read = Counter((row["language"], row["domain"]) for row in listed(tmp_path))
    assert 0.2 * read["en", "web"] <= counts["en", "web"] <= 0.25 * read["en", "web"]
    assert 0 < counts["en", "forum"] <= 0.25 * read["en", "forum"]
    assert counts["zh", "web"] == 0
    web = [row for row in refused if row["domain"] == "web"]
    poor_rows = sum(int(row["uri"].partition("#")[2]) % 2 for row in web)
    assert poor_rows >= 0.9 * len(web)
    assert figures["not_kept"][LOW_QUALITY] == len(refused)
    assert {row["id"] for row in documents(tmp_path)}.isdisjoint(row["id"] for row in refused)


def test_each_document_carries_its_quality_and_those_of_unknown_languages_none(sources: CurationConfig, tmp_path: Path) -> None:
    run(sources, tmp_path)
    by_id = {row["id"]: row for row in listed(tmp_path)}
    for row in documents(tmp_path):
        assert row["quality"] == by_id[row["id"]]["quality"]
        assert (row["quality"] is None) == (row["language"] == "zh")
    scores = [row["quality"] for row in listed(tmp_path) if row["domain"] == "forum"]
    assert 0 < min(scores) < 0.1
    assert 0.9 < max(scores) < 1


def test_the_table_says_what_each_language_and_domain_lost_and_the_check_reports_it(
    sources: CurationConfig, tmp_path: Path
) -> None:
    figures = run(sources, tmp_path)
    table = {(row["language"], row["domain"]): row for row in rows(tmp_path / "corpus/metrics/quality.parquet")}
    assert table.keys() == {("en", "web"), ("en", "forum")}
    for (language, domain), row in table.items():
        own = [document for document in listed(tmp_path) if (document["language"], document["domain"]) == (language, domain)]
        lost = [document for document in own if document["reason"] == LOW_QUALITY]
        assert (row["documents"], row["bytes"]) == (len(own), sum(document["bytes"] for document in own))
        assert (row["refused_documents"], row["refused_bytes"]) == (len(lost), sum(document["bytes"] for document in lost))
        assert row["reference_documents"] == 80
        # The AUC of so few documents may be anything, since ids depend on the folder; test_classifier tests the AUC.
        assert row["auc"] == figures["quality"]["en"]["auc"]
    (tmp_path / "page").mkdir()
    report = check(CorpusLimits(), artifact=tmp_path / "corpus", output=tmp_path / "page")
    (said,) = [expectation for expectation in report.expectations if expectation.name.startswith("quality: refused_share")]
    assert said.passed
    shares = {group: row["refused_documents"] / row["documents"] for group, row in table.items()}
    assert said.observed == f"en forum {shares['en', 'forum']:.6g}; en web {shares['en', 'web']:.6g}"
    strict = check(CorpusLimits(max_low_quality_share=0.01), artifact=tmp_path / "corpus", output=tmp_path / "page")
    assert "quality: refused_share is between 0 and 0.01" in [expectation.name for expectation in strict.failures]


def test_the_classifier_is_in_the_corpus_and_its_digest_in_the_figures(sources: CurationConfig, tmp_path: Path) -> None:
    figures = run(sources, tmp_path)
    path = tmp_path / "corpus/quality/en.npz"
    assert figures["quality"]["en"]["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
    river, price = Classifier.load(path).log_odds(*bytes_of(pa.array([good(7), poor(7)])))
    assert river > price


def test_shard_sizes_and_their_order_change_nothing(sources: CurationConfig, tmp_path: Path) -> None:
    outcomes = []
    for number, chosen in enumerate((sources, replace(sources, shard_bytes=10**8))):
        run(chosen, tmp_path / str(number))
        model = (tmp_path / str(number) / "corpus/quality/en.npz").read_bytes()
        outcomes.append((model, sorted((row["id"], row["quality"], row["reason"]) for row in listed(tmp_path / str(number)))))
    assert outcomes[0] == outcomes[1]


def test_the_number_of_workers_changes_no_byte(sources: CurationConfig, tmp_path: Path) -> None:
    run(sources, tmp_path / "here")
    engine = PoolEngine(workers=2)
    with engine.pool:
        run(sources, tmp_path / "pool", engine=engine)
    files = [path for path in sorted((tmp_path / "here/corpus").rglob("*")) if path.is_file()]
    for path in files:
        assert path.read_bytes() == (tmp_path / "pool" / path.relative_to(tmp_path / "here")).read_bytes(), path.name
    assert {path.name for path in files} >= {"en.npz", "quality.parquet", "samples.parquet"}


def test_of_two_duplicates_the_better_is_kept(sources: CurationConfig, tmp_path: Path) -> None:
    long = prose(7, 400)
    better, worse = f"{long} by the river runs past the old mill", f"{long} buy now at the best price"
    write_jsonl(tmp_path / "web/b.jsonl", [worse, better])
    run(replace(sources, quality=replace(sources.quality, max_refused_share=0.0)), tmp_path)
    (removed,) = [row for row in listed(tmp_path) if row["uri"].startswith("b.jsonl") and not row["kept"]]
    assert (removed["uri"][-1], removed["reason"]) == ("1", "near-duplicate")


def test_without_references_there_is_no_score(sources: CurationConfig, tmp_path: Path) -> None:
    run(replace(sources, quality=QualityConfig()), tmp_path)
    assert {row["quality"] for row in listed(tmp_path)} == {None}
    assert not (tmp_path / "corpus/quality").exists()
    assert not (tmp_path / "corpus/metrics/quality.parquet").exists()


def test_a_share_of_0_scores_and_refuses_nothing(sources: CurationConfig, tmp_path: Path) -> None:
    run(replace(sources, quality=replace(sources.quality, max_refused_share=0.0)), tmp_path)
    assert LOW_QUALITY not in {row["reason"] for row in listed(tmp_path)}
    assert {row["quality"] is None for row in listed(tmp_path)} == {True, False}


def test_a_killed_run_goes_on_to_the_same_corpus(
    sources: CurationConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(sources, tmp_path / "whole")

    class Killed(InProcessShardEngine):
        def map_shards(self, work: Any, shards: Any, *, description: str, **more: Any) -> Any:
            results = super().map_shards(
                work, shards[:2] if description == "score quality" else shards, description=description, **more
            )
            if description == "score quality":
                raise KeyboardInterrupt
            return results

    with pytest.raises(KeyboardInterrupt):
        run(sources, tmp_path / "killed", engine=Killed())
    (tmp_path / "killed/corpus").rename(tmp_path / "half")
    run(sources, tmp_path / "killed")
    for path in sorted((tmp_path / "whole/corpus").rglob("*")):
        if path.is_file():
            assert path.read_bytes() == (tmp_path / "killed" / path.relative_to(tmp_path / "whole")).read_bytes(), path.name


def test_references_that_cannot_be_used_are_named(sources: CurationConfig, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"no language has 500 documents both in .* and in the sources \(references: 80 en\)"):
        run(replace(sources, quality=replace(sources.quality, min_documents=500, sample_documents=500)), tmp_path / "few")
    (tmp_path / "reference/b.jsonl.gz").write_bytes(b"no gzip")
    with pytest.raises(SourceError, match=r"reference .*b\.jsonl\.gz cannot be read"):
        run(sources, tmp_path / "damaged")
    write_jsonl(tmp_path / "empty.jsonl", ["short"])
    empty = QualityConfig(references=(source(tmp_path / "empty.jsonl"),))
    with pytest.raises(SourceError, match=r"the filters refuse every document of .*empty\.jsonl"):
        run(replace(sources, quality=empty), tmp_path / "refused")


def test_references_are_read_whatever_the_mixture_says_of_the_languages_of_the_sources(sources: CurationConfig) -> None:
    (domain, *_) = sorted({entry.domain for entry in sources.sources} - {entry.domain for entry in sources.quality.references})
    chosen = changed(sources, language_shares={domain: {"en": 1.0}}, language_temperature=2.0, max_epochs_by_domain={domain: 2.0})
    assert fingerprint(chosen.inputs) == fingerprint(sources.inputs)
    read, again = (own.extraction.of_references(own.quality.references) for own in (sources, chosen))
    assert read == again


def test_another_reference_is_another_fingerprint(sources: CurationConfig, tmp_path: Path) -> None:
    before = fingerprint(sources.inputs)
    write_jsonl(tmp_path / "reference/b.jsonl", [good(1)])
    assert fingerprint(sources.inputs) != before


def test_documents_of_one_part_that_all_go_leave_no_empty_part(sources: CurationConfig, tmp_path: Path) -> None:
    write_jsonl(tmp_path / "web/a.jsonl", [*(poor(n) for n in range(60)), *(good(n) for n in range(60))])
    run(replace(sources, quality=replace(sources.quality, max_refused_share=0.6), shard_bytes=15_000), tmp_path)
    paths = sorted((tmp_path / "scratch/read").glob("*/graded-texts-*.parquet"))
    assert len(paths) < len(list((tmp_path / "scratch/read").glob("*/texts-*.parquet")))
    assert all(rows(path) for path in paths)
    kept = [row["id"] for row in documents(tmp_path)]
    assert len(kept) == len(set(kept)) == sum(row["kept"] for row in listed(tmp_path)) > 50

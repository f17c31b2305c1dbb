"""Raw files are listed, sampled and fingerprinted without parsing documents."""

import gzip
import json
from pathlib import Path

import pytest
import zstandard

from components.curation.reading.sources import fingerprint, locate
from components.errors import ConfigError, SourceError
from tests.components.curation.conftest import config, listed, prose, source, write_jsonl
from tests.components.python_environment.conftest import Install, install
from tests.hub_server import Hub, Repository

__all__ = ["install"]


def test_a_folder_gives_its_files_of_known_kinds_in_order_below_its_uri(tmp_path: Path) -> None:
    for name in ("b.txt", "deep/a.jsonl", "deep/c.md", "picture.png", "LICENSE", "x.parquet.gz", "y.TXT.gz"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    files = listed(config(source(f"{tmp_path}/", licence="CC0-1.0"))).files
    assert [file.path for file in files] == ["b.txt", "deep/a.jsonl", "deep/c.md", "y.TXT.gz"]
    assert [file.kind for file in files] == ["text", "jsonl", "text", "text"]
    assert {file.licence for file in files} == {"CC0-1.0"}


def test_a_file_uri_with_escapes_is_a_path(tmp_path: Path) -> None:
    write_jsonl(tmp_path / "my data.jsonl", ["x"])
    (file,) = listed(config(source(f"file://{tmp_path}/my%20data.jsonl", name="mine"))).files
    assert Path(file.location) == tmp_path / "my data.jsonl"


def test_a_source_that_does_not_exist_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"source gone \(.*/gone\.jsonl\): .* does not exist"):
        listed(config(source(tmp_path / "gone.jsonl")))


def test_an_empty_source_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").touch()
    with pytest.raises(SourceError, match=r"a \(.*a\.jsonl\) is empty \(0 bytes\)"):
        listed(config(source(tmp_path / "a.jsonl")))


def test_a_source_of_unknown_kind_says_which_kinds_are_read(tmp_path: Path) -> None:
    (tmp_path / "a.docx").write_text("x")
    for path in (tmp_path, tmp_path / "a.docx"):
        with pytest.raises(SourceError, match=r"no readable file; allowed: \.jsonl, .*\.parquet"):
            listed(config(source(path)))


def test_compressed_json_is_json_lines_and_plain_json_is_not(tmp_path: Path) -> None:
    lines = json.dumps({"text": prose(1)}).encode() + b"\n"
    (tmp_path / "c4-train.00000.json.gz").write_bytes(gzip.compress(lines))
    (tmp_path / "dolma.json.zst").write_bytes(zstandard.compress(lines))
    (tmp_path / "about.json").write_bytes(lines)
    listing = listed(config(source(tmp_path)))
    assert [(file.path, file.kind) for file in listing.files] == [
        ("c4-train.00000.json.gz", "jsonl"),
        ("dolma.json.zst", "jsonl"),
    ]
    assert listing.skipped_by_suffix() == {".json": 1}


def test_links_to_folders_are_followed_once_and_circles_come_to_an_end(tmp_path: Path) -> None:
    for name in ("data/own", "elsewhere"):
        (tmp_path / name).mkdir(parents=True)
        write_jsonl(tmp_path / name / "a.jsonl", [prose(1)])
    for name, target in {"linked": "elsewhere", "twice": "elsewhere", "own/up": "data", "gone": "nowhere"}.items():
        (tmp_path / "data" / name).symlink_to(tmp_path / target)
    files = listed(config(source(tmp_path / "data"))).files
    assert [file.path for file in files] == ["linked/a.jsonl", "own/a.jsonl"]


def test_an_unknown_scheme_is_wrong_usage() -> None:
    with pytest.raises(ConfigError, match="scheme 'ftp' is not supported; allowed: a path, file://, s3:// or gs://"):
        listed(config(source("ftp://host/a.jsonl")))


def test_an_environment_without_distributions_is_wrong_usage() -> None:
    with pytest.raises(ConfigError, match=r"Source\.distributions is empty"):
        listed(config(source("python-environment:", "code")))


def test_a_module_is_listed_once_for_all_its_domains_and_a_description_only_for_prose(install: Install) -> None:
    install("shop", {"shop/a.py": "x = 1\n"}, metadata="License: MIT")
    install("numpy", {"numpy/b.py": "y = 1\n"})
    names = ("shop", "numpy")
    sources = [source("python-environment:", domain, distributions=names) for domain in ("code", "prose", "maths")]
    listing = listed(config(*sources))
    assert [(file.uri, file.source_indices) for file in listing.files] == [
        ("python-environment:numpy/numpy-1.0.dist-info/METADATA", (1,)),
        ("python-environment:numpy/numpy/b.py", (0, 2)),
        ("python-environment:shop/shop-1.0.dist-info/METADATA", (1,)),
        ("python-environment:shop/shop/a.py", (0, 1)),
    ]
    assert [file.group for file in listing.files] == ["numpy", "numpy", "shop", "shop"]
    assert listing.files[3].licence == "MIT"
    assert Path(locate(listing.files[3].uri)).read_text() == "x = 1\n"


def test_a_sample_holds_about_its_bytes_and_a_larger_one_holds_the_smaller(tmp_path: Path) -> None:
    for number in range(100):
        (tmp_path / f"{number}.txt").write_text(f"{number:0100}")

    def sampled(size: int, seed: int = 0) -> set[str]:
        return {file.uri for file in listed(config(source(tmp_path, sample_bytes=size), seed=seed)).files}

    assert (len(sampled(1000)), len(sampled(3050)), len(sampled(10**9))) == (10, 31, 100)
    assert sampled(1000) < sampled(3050)
    assert sampled(1000) != sampled(1000, seed=1)


def test_a_sample_of_rows_is_a_share_of_them(tmp_path: Path) -> None:
    size = write_jsonl(tmp_path / "a.jsonl", [prose(number) for number in range(50)]).stat().st_size
    (file,) = listed(config(source(tmp_path / "a.jsonl", sample_bytes=size // 4))).files
    assert file.row_share == pytest.approx(0.25, abs=0.01)


def test_the_fingerprint_follows_bytes_and_names_only(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "a.jsonl", ["x"])
    chosen = config(source(tmp_path))
    first = fingerprint(chosen.inputs)
    path.touch()
    assert fingerprint(chosen.inputs) == first
    write_jsonl(path, ["y"])
    assert fingerprint(chosen.inputs) != first
    write_jsonl(path, ["x"]).rename(tmp_path / "b.jsonl")
    assert fingerprint(chosen.inputs) != first


def test_the_fingerprint_sees_a_module_that_was_edited_in_place(install: Install, tmp_path: Path) -> None:
    install("shop", {"shop/a.py": "x = 1\n"})
    chosen = config(source("python-environment:", "code", distributions=("shop",)))
    first = fingerprint(chosen.inputs)
    (tmp_path / "site/shop/a.py").write_text("x = 2\n")
    assert fingerprint(chosen.inputs) != first


def test_files_of_a_dataset_on_the_hub_are_listed_at_its_commit_with_the_licence_of_its_card(hub_server: Hub) -> None:
    repository = hub_server.repositories["datasets/someone/texts"] = Repository(
        files={"README.md": b"a card", "data/a.jsonl": b'{"text": "a"}\n'}, licence="odc-by"
    )
    for uri in ("hf://datasets/someone/texts/data", "hf://someone/texts@main/data"):
        (file,) = listed(config(source(uri))).files
        assert (file.path, file.kind, file.licence) == ("a.jsonl", "jsonl", "odc-by")
        assert file.uri == f"hf://datasets/someone/texts@{repository.commit}/data/a.jsonl"
        assert locate(file.uri) == file.location
    assert listed(config(source(uri, licence="MIT"))).files[0].licence == "MIT"


def test_the_fingerprint_of_a_dataset_changes_when_its_branch_moves_to_other_content(hub_server: Hub) -> None:
    repository = hub_server.repositories["datasets/someone/texts"] = Repository(files={"a.jsonl": b'{"text": "a"}\n'})
    made = config(source("hf://datasets/someone/texts@main"))
    before = fingerprint(made.inputs)
    repository.push({"a.jsonl": b'{"text": "b"}\n'})
    assert fingerprint(made.inputs) != before
    repository.push({"a.jsonl": b'{"text": "a"}\n'})
    assert fingerprint(made.inputs) == before

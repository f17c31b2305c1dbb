"""Files that a recipe names: in a bucket, on a claim, sent along, or refused all at once. The bucket is a real S3 server's."""

import gzip
import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from components.alignment.jsonl import named_files
from components.curation.config import Benchmark, Source
from components.curation.reading.sources import list_files
from components.errors import SourceError
from components.file_names import file_names
from components.locations import read_bytes
from components.scaling.laws.files import find_law, write_law
from components.scaling.laws.published import LAWS
from infra.cluster.profiles import Profile
from tests.infra.conftest import sample_profile
from tests.infra.s3_server import BUCKET, bucket
from tests.servers import client
from workflows.commands.cluster.sources import require_seen, unseen, uploaded
from workflows.recipe import Recipe, load_recipe
from workflows.steps.journal import Event, listening

ROOT = f"s3://{BUCKET}/longrun"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with bucket(tmp_path_factory.mktemp("s3") / "log") as url, pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", url)
        patch.setenv("AWS_ALLOW_HTTP", "true")
        yield url


@pytest.fixture
def site(store: str) -> Profile:
    return sample_profile(artifact_root=ROOT, object_store_endpoint=store)


def recipe_of(*uris: str, **others: Any) -> Recipe:
    """`tiny` with sources at these URIs, and other files where they are named."""
    tiny = load_recipe("tiny")
    sources = tuple(Source(uri=uri, domain="web", weight=1.0, name=f"s{number}") for number, uri in enumerate(uris))
    filtering = replace(
        tiny.curation.filtering,
        benchmarks=tuple(Benchmark(name=f"b{number}", uri=uri) for number, uri in enumerate(others.get("benchmarks", ()))),
        flagged_words=others.get("words", {}),
    )
    curation = replace(tiny.curation, sources=sources or tiny.curation.sources, filtering=filtering)
    return replace(
        tiny,
        curation=curation,
        conversations=replace(tiny.conversations, sources=others.get("talks", ())),
        preference_pairs=replace(tiny.preference_pairs, sources=others.get("pairs", ())),
        pretraining=replace(tiny.pretraining, start=others.get("start", "")),
        scaling=replace(tiny.scaling, law=others.get("law", "deepseek")),
    )


def everywhere(where: str) -> Recipe:
    """A recipe that names a file in every way in which it can."""
    return recipe_of(
        f"{where}/texts", f"{where}/more.jsonl", benchmarks=(f"{where}/bench.jsonl",), words={"en": f"{where}/words.txt"},
        talks=(f"{where}/a/talks.jsonl", f"{where}/b/talks.jsonl"), pairs=(f"{where}/pairs.jsonl",), start=f"{where}/model",
        law=f"{where}/law.json",
    )  # fmt: skip


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """What `everywhere` names, on this machine."""
    lines = {
        "texts/one.jsonl": '{"text": "one"}\n',
        "texts/deep/t w#o?%41.txt": "two",
        "texts/picture.png": "no text",
        "more.jsonl": '{"text": "three"}\n',
        "bench.jsonl": '{"question": "what"}\n',
        "words.txt": "bad\n",
        "a/talks.jsonl": '{"messages": 1}\n',
        "b/talks.jsonl": '{"messages": 2}\n',
        "pairs.jsonl": "{}\n",
        "model/config.json": "{}",
        "model/model.safetensors": "weights",
        "model/pytorch_model.bin": "pickled",
    }
    for name, text in lines.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    write_law(LAWS["chinchilla"], tmp_path / "law.json")
    return tmp_path


def keys(store: str) -> dict[str, bytes]:
    """Every object below the root, with its bytes."""
    s3 = client(store)
    listed = s3.list_objects_v2(Bucket=BUCKET, Prefix="longrun/").get("Contents", [])
    return {
        entry["Key"].removeprefix("longrun/"): s3.get_object(Bucket=BUCKET, Key=entry["Key"])["Body"].read() for entry in listed
    }


@pytest.fixture(autouse=True)
def _empty(request: pytest.FixtureRequest) -> None:
    if "store" in request.fixturenames:
        url = request.getfixturevalue("store")
        for key in keys(url):
            client(url).delete_object(Bucket=BUCKET, Key=f"longrun/{key}")


# What pods see


@pytest.mark.parametrize("where", ["s3://bucket/data", "gs://bucket/data"])
def test_files_in_a_bucket_are_taken_wherever_a_recipe_may_name_some(where: str) -> None:
    require_seen(everywhere(where), sample_profile())


@pytest.mark.parametrize(
    ("uri", "claim", "seen"),
    [
        ("texts.jsonl", "", False),
        ("/sources/texts.jsonl", "", False),
        ("texts.jsonl", "texts", False),
        ("/sources/../etc/x.jsonl", "texts", False),
        ("/sources/texts.jsonl", "texts", True),
        ("file:///sources/texts", "texts", True),
        ("python-environment:", "", True),
    ],
)
def test_a_source_on_the_claim_is_seen_and_one_of_this_machine_is_not(uri: str, claim: str, seen: bool) -> None:
    recipe = load_recipe("tiny")
    own = replace(recipe.curation.sources[0], uri=uri, domain="code")
    recipe = replace(recipe, curation=replace(recipe.curation, sources=(own,)))
    assert [file.uri for file in unseen(recipe, sample_profile(source_claim=claim))] == ([] if seen else [uri])


def test_all_files_that_pods_do_not_see_are_refused_at_once_with_where_they_stand() -> None:
    with pytest.raises(SourceError) as caught:
        require_seen(everywhere("/data"), sample_profile(source_claim="texts"))
    message = str(caught.value)
    for name in file_names(everywhere("/data")):
        assert f"{name.uri} ({name.field})" in message
    assert "on the claim texts (/sources/…)" in message
    assert "--upload" in message
    assert "\n" not in message


# What is sent along


def test_every_file_of_this_machine_is_sent_once_below_its_hash_and_named_there(files: Path, site: Profile, store: str) -> None:
    seen = uploaded(everywhere(str(files)), site, 2**20)
    there = keys(store)
    names = [name.uri.removeprefix(f"{ROOT}/uploads/").partition("/") for name in file_names(seen)]
    ends = [
        "texts",
        "more.jsonl",
        "words.txt",
        "bench.jsonl",
        "law.json",
        "model",
        "a/talks.jsonl",
        "b/talks.jsonl",
        "pairs.jsonl",
    ]
    assert sorted(end for _, _, end in names) == sorted(ends)
    more = (files / "more.jsonl").read_bytes()
    assert there[f"uploads/{hashlib.sha256(more).hexdigest()}/more.jsonl"] == more
    sent = sorted(key.split("/", 2)[2] for key in there)
    inside = ["texts/one.jsonl", "texts/picture.png", "model/config.json", "model/model.safetensors"]
    assert [name for name in inside if name not in sent] == []
    assert not any(name.endswith("pytorch_model.bin") for name in sent)
    require_seen(seen, site)
    assert replace(seen, curation=everywhere(str(files)).curation).tokenizer == load_recipe("tiny").tokenizer


def test_documents_there_have_the_ids_that_they_have_here(files: Path, site: Profile) -> None:
    here = everywhere(str(files))
    there = uploaded(here, site, 2**20)

    def listed(recipe: Recipe) -> list[tuple[str, str, int]]:
        """What ids, and the list of raw files, are made of."""
        return [(file.source, file.path, file.size) for file in list_files(recipe.curation.inputs.reading).files]

    def lines(recipe: Recipe) -> list[tuple[str, list[int]]]:
        sources = named_files(recipe.conversations.sources, 0)
        return [(source.name, [row["messages"] for _, row in source.rows(dict)]) for source in sources]

    assert listed(there) == listed(here)
    assert ("s0", "deep/t w#o?%41.txt", 3) in listed(there)
    assert lines(there) == lines(here) == [("a/talks.jsonl", [1]), ("b/talks.jsonl", [2])]
    odd = next(file for file in list_files(there.curation.inputs.reading).files if "#" in file.path)
    assert read_bytes(odd.location) == b"two"
    assert find_law(there.scaling.law) == LAWS["chinchilla"]


def test_what_is_there_is_not_sent_again_and_what_has_changed_is(files: Path, site: Profile, store: str) -> None:
    first = uploaded(everywhere(str(files)), site, 2**20)
    before = {entry["Key"]: entry["LastModified"] for entry in client(store).list_objects_v2(Bucket=BUCKET)["Contents"]}
    assert uploaded(everywhere(str(files)), site, 2**20) == first
    after = {entry["Key"]: entry["LastModified"] for entry in client(store).list_objects_v2(Bucket=BUCKET)["Contents"]}
    assert after == before
    (files / "more.jsonl").write_text('{"text": "four"}\n')
    again = uploaded(everywhere(str(files)), site, 2**20)
    moved = [new.field for new, old in zip(file_names(again), file_names(first), strict=True) if new.uri != old.uri]
    assert moved == ["curation.sources.1.uri"]


def test_an_object_that_was_cut_short_is_sent_again(files: Path, site: Profile, store: str) -> None:
    recipe = recipe_of(str(files / "more.jsonl"))
    uploaded(recipe, site, 2**20)
    (key,) = keys(store)
    client(store).put_object(Bucket=BUCKET, Key=f"longrun/{key}", Body=b"cut")
    uploaded(recipe, site, 2**20)
    assert keys(store)[key] == (files / "more.jsonl").read_bytes()


def test_a_file_that_changes_on_its_way_is_refused_and_not_kept(files: Path, site: Profile, store: str) -> None:
    """Its hash is taken first; the listener changes it after that, before it is sent."""
    path = files / "texts" / "one.jsonl"

    def change(event: Event) -> None:
        path.write_text('{"text": "six"}\n')

    (files / "texts/deep/t w#o?%41.txt").write_text("x")
    with listening(change), pytest.raises(SourceError, match=r"one\.jsonl: what arrived is another file .*changed meanwhile"):
        uploaded(recipe_of(str(files / "texts")), site, 2**20)
    assert [key for key in keys(store) if key.endswith("one.jsonl")] == []


def test_more_than_the_limit_is_refused_before_anything_is_sent(files: Path, site: Profile, store: str) -> None:
    (files / "more.jsonl").write_bytes(gzip.compress(bytes(3 * 2**20)) + bytes(2**20))
    with pytest.raises(SourceError, match=r"1\.0 MiB to upload \(.*more\.jsonl 1\.0 MiB\); allowed: 1\.0 MiB; .*--max-upload"):
        uploaded(recipe_of(str(files / "more.jsonl")), site, 2**20)
    assert keys(store) == {}


def test_a_file_that_does_not_exist_is_named_with_where_it_stands(site: Profile) -> None:
    with pytest.raises(SourceError, match=r"/nowhere/x\.jsonl \(curation\.sources\.0\.uri\): /nowhere/x\.jsonl does not exist"):
        uploaded(recipe_of("/nowhere/x.jsonl"), site, 2**20)


def test_a_file_whose_lines_would_be_called_otherwise_there_is_refused(
    files: Path, site: Profile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(files / "a")
    with pytest.raises(SourceError, match=r"talks\.jsonl \(conversations\.sources\.0\) would be named .*rename it"):
        uploaded(recipe_of(talks=("talks.jsonl", "../b/talks.jsonl")), site, 2**20)


def test_progress_is_shown_up_to_the_whole(files: Path, site: Profile) -> None:
    seen: list[Event] = []
    with listening(seen.append):
        uploaded(everywhere(str(files)), site, 2**20)
    done = [(event["done"], event["total"], event["unit"]) for event in seen if event["event"] == "progress"]
    assert done == sorted(done)
    assert done[-1][0] == done[-1][1] > 0
    assert {unit for _, _, unit in done} == {"MiB"}


def test_a_recipe_without_files_of_this_machine_is_sent_as_it_is(site: Profile) -> None:
    recipe = everywhere("s3://bucket/data")
    assert uploaded(recipe, site, 2**20) is recipe
    assert json.dumps([name.uri for name in file_names(recipe)]).count("s3://bucket/data") == 9

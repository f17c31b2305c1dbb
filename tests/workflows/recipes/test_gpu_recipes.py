"""The recipes for GPUs, without a download or a training: found, planned, checked, and small enough for their hardware."""

import io
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from components import hub
from components.artifacts import Mixture, Plan
from components.checks import plan as check_plan
from components.curation.reading.sources import list_files
from components.flops import parameters
from components.hardware import GPUS
from components.scaling.planning.plan import plan
from components.scaling.planning.proposal import PAPER_MODELS
from components.tokenizer import special_tokens
from components.training.config import Choices
from tests.components.artifacts.samples import domain_tokens, index_of
from tests.hub_server import Hub, Repository
from workflows.recipe import Recipe, from_json, load_recipe, to_json
from workflows.resources import disk_bytes

PAPER = PAPER_MODELS["7b"]

TOKENS = {
    "one-gpu": {"web": 8_000_000_000, "code": 2_000_000_000, "maths": 1_000_000_000},
    "7b": {"web": 1_300_000_000_000, "code": 250_000_000_000, "maths": 34_000_000_000},
}
"""Tokens of each recipe's sources by domain, as the cards of the datasets say; of `one-gpu`, about what `sample_bytes` reads."""

FIELDS = {"fineweb-edu": "text", "open-web-math": "text", "finemath": "text", "codeparrot": "content", "starcoderdata": "content"}
"""Where the datasets have their text, by the source's name."""


@pytest.fixture(params=list(TOKENS))
def recipe(request: pytest.FixtureRequest) -> Recipe:
    return load_recipe(request.param)


@pytest.fixture
def made(recipe: Recipe, tmp_path: Path) -> Path:
    """The plan that a run of the recipe makes once its text is tokenized."""
    for name in ("tokenizer", "shards", "plan"):
        (tmp_path / name).mkdir()
    special_tokens.after(recipe.tokenizer.regular_tokens, recipe.tokenizer.vocab_size).write(tmp_path / "tokenizer")
    index_of({domain: domain_tokens(tokens) for domain, tokens in TOKENS[recipe.name].items()}).write(tmp_path / "shards")
    shares = {source.domain: source.weight for source in recipe.curation.sources}
    Mixture(shares=shares, epoch_limits=dict.fromkeys(shares, recipe.curation.corpus.max_epochs)).write(tmp_path / "shards")
    plan(
        recipe.scaling,
        choices=Choices.of(recipe.pretraining),
        tokenizer=tmp_path / "tokenizer",
        token_shards=tmp_path / "shards",
        output=tmp_path / "plan",
    )
    return tmp_path / "plan"


def test_the_plan_passes_its_check(recipe: Recipe, made: Path, tmp_path: Path) -> None:
    report = check_plan.check(recipe.checks.plan, artifact=made, output=tmp_path)
    assert [expectation for expectation in report.expectations if not expectation.passed] == []


@pytest.mark.parametrize("recipe", ["one-gpu"], indirect=True)
def test_one_gpu_fits_into_24_gigabytes_and_takes_two_days_at_most_there(made: Path) -> None:
    planned = Plan.read(made)
    gpu = GPUS["rtx4090"]
    assert planned.memory_bytes < 0.9 * gpu.memory_bytes
    assert planned.compute / (0.4 * gpu.peak_flops) < 2 * 86_400
    assert 250_000_000 < parameters(planned.shape) < 350_000_000


@pytest.mark.parametrize("recipe", ["7b"], indirect=True)
def test_7b_is_the_papers_and_fits_into_80_gigabytes(made: Path) -> None:
    planned = Plan.read(made)
    assert (planned.shape, planned.batch_size, planned.learning_rate) == (PAPER.shape, PAPER.batch_size, PAPER.learning_rate)
    assert planned.tokens == pytest.approx(2e12, rel=1e-5)
    assert planned.memory_bytes < 0.9 * GPUS["h100"].memory_bytes


def test_the_sources_are_found_on_the_hub_with_commit_and_licence(recipe: Recipe, hub_server: Hub) -> None:
    for source in recipe.curation.sources:
        uri = hub.parse(source.uri)
        path = f"{uri.path}/train-00000.parquet".lstrip("/")
        hub_server.repositories[f"datasets/{uri.name}"] = Repository(files={path: rows(FIELDS[source.name])}, licence="odc-by")
    listing = list_files(recipe.curation.extraction.reading)
    assert {file.source: (file.kind, file.licence) for file in listing.files} == dict.fromkeys(
        (source.name for source in recipe.curation.sources), ("parquet", "odc-by")
    )
    assert all(hub.parse(file.uri).pinned for file in listing.files)
    assert {source.name: source.text_field for source in recipe.curation.sources}.items() <= FIELDS.items()


def rows(field: str) -> bytes:
    """A Parquet file with two documents."""
    stream = io.BytesIO()
    pq.write_table(pa.table({field: ["a text", "another text"]}), stream)
    return stream.getvalue()


def test_it_can_be_sent_to_a_cluster_and_says_how_much_disk_it_needs(recipe: Recipe) -> None:
    assert from_json(to_json(recipe), Recipe) == recipe
    assert disk_bytes(recipe) > 0

"""The artifact of a plan: its files, its notes on the training data, and damaged inputs."""

import json
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from components.artifacts import Mixture, ModelShape, Plan
from components.errors import DamagedArtifact, MissingArtifact, TrainingError
from components.model.configuration import CONFIG, huggingface_config
from components.scaling.config import ScalingConfig
from components.scaling.planning.plan import plan
from components.tokenizer import special_tokens
from components.training.config import Choices
from tests.components.artifacts.samples import domain_tokens, index_of

SHAPE = ModelShape(n_layer=4, d_model=128, n_head=4, n_kv_head=4, d_ffn=512, vocab_size=4096, context=256)


@pytest.fixture
def tokenizer(tmp_path: Path) -> Path:
    (tmp_path / "tokenizer").mkdir()
    special_tokens.after(4000, 4096).write(tmp_path / "tokenizer")
    return tmp_path / "tokenizer"


@pytest.fixture
def shards(tmp_path: Path) -> Path:
    (tmp_path / "shards").mkdir()
    index_of({"code": domain_tokens(1_000_000), "prose": domain_tokens(100_000)}).write(tmp_path / "shards")
    limits = {"code": 4, "maths": 4, "prose": 4}
    Mixture(shares={"code": 0.5, "maths": 0.25, "prose": 0.25}, epoch_limits=limits).write(tmp_path / "shards")
    return tmp_path / "shards"


@pytest.fixture
def output(tmp_path: Path) -> Path:
    (tmp_path / "output").mkdir()
    return tmp_path / "output"


def test_the_artifact_holds_the_plan_and_a_table_of_choices(tokenizer: Path, shards: Path, output: Path) -> None:
    choices = Choices(shape=SHAPE, tokens=2_000_000, batch_size=8)
    figures = plan(ScalingConfig(compute=None), choices=choices, tokenizer=tokenizer, token_shards=shards, output=output)
    read = Plan.read(output)
    assert read.shape == SHAPE
    assert figures["tokens"] == read.tokens == 977 * 8 * 256
    assert figures["notes"] == list(read.notes)
    table = pq.read_table(output / "metrics" / "plan.parquet").to_pydict()
    assert table["name"][0] == "compute"
    assert dict(zip(table["name"], table["chosen"], strict=True))["tokens"] == read.tokens
    assert None not in table["law"]


def test_the_notes_count_the_epochs_of_each_domain(tokenizer: Path, shards: Path, output: Path) -> None:
    choices = Choices(shape=SHAPE, tokens=2_000_000, batch_size=8)
    figures = plan(ScalingConfig(compute=None), choices=choices, tokenizer=tokenizer, token_shards=shards, output=output)
    assert figures["notes"][-6:] == [
        "code: 1.00 epochs of 1000000 tokens",
        "maths: no training tokens, though the mixture gives it a share",
        "prose: 5.00 epochs of 100000 tokens, more than its limit of 4: the surplus goes to the other domains",
        "code replaces tokens of portions that reach their epoch limits: 80.0% of the tokens instead of 50.0%",
        "maths is shorter than one training sequence: 0.0% of the tokens instead of 25.0%",
        "prose reaches its epoch limit (4.00 epochs): 20.0% of the tokens instead of 25.0%",
    ]


def test_the_notes_count_the_epochs_of_each_language_with_a_share(tokenizer: Path, shards: Path, output: Path) -> None:
    web = domain_tokens(1_000_000, {"en": 900_000, "zh": 100_000})
    index_of({"code": domain_tokens(1_000_000), "web": web}).write(shards)
    limits = {"code": 4, "web": 4}
    mixture = Mixture(shares={"code": 0.5, "web": 0.5}, epoch_limits=limits, language_shares={"web": {"en": 0.5, "zh": 0.5}})
    mixture.write(shards)
    choices = Choices(shape=SHAPE, tokens=2_000_000, batch_size=8)
    figures = plan(ScalingConfig(compute=None), choices=choices, tokenizer=tokenizer, token_shards=shards, output=output)
    assert figures["notes"][-6:] == [
        "code: 1.00 epochs of 1000000 tokens",
        "web: 1.00 epochs of 1000000 tokens",
        "web/en: 0.56 epochs of 900000 tokens",
        "web/zh: 5.00 epochs of 100000 tokens, more than its limit of 4: the surplus goes to the other languages of web",
        "web/en replaces tokens of portions that reach their epoch limits: 30.0% of the tokens instead of 25.0%",
        "web/zh reaches its epoch limit (4.00 epochs): 20.0% of the tokens instead of 25.0%",
    ]


def test_more_tokens_than_the_epoch_limits_allow_are_refused_before_training(tokenizer: Path, shards: Path, output: Path) -> None:
    choices = Choices(shape=SHAPE, tokens=5_000_000, batch_size=8)
    with pytest.raises(TrainingError, match=r"sequences are planned, but the epoch limits allow 17184; reduce the tokens"):
        plan(ScalingConfig(compute=None), choices=choices, tokenizer=tokenizer, token_shards=shards, output=output)


def test_the_same_inputs_give_the_same_bytes(tokenizer: Path, shards: Path, output: Path, tmp_path: Path) -> None:
    (tmp_path / "again").mkdir()
    for directory in (output, tmp_path / "again"):
        plan(
            ScalingConfig(compute=1e12),
            choices=Choices(sequence_length=256),
            tokenizer=tokenizer,
            token_shards=shards,
            output=directory,
        )
    for name in ("plan.json", "metrics/plan.parquet"):
        assert (output / name).read_bytes() == (tmp_path / "again" / name).read_bytes()


def test_missing_and_damaged_inputs_are_named(tokenizer: Path, shards: Path, output: Path) -> None:
    def make() -> None:
        plan(
            ScalingConfig(compute=1e12),
            choices=Choices(sequence_length=256),
            tokenizer=tokenizer,
            token_shards=shards,
            output=output,
        )

    (shards / "index.json").write_text("{")
    with pytest.raises(DamagedArtifact, match=r"index\.json: not JSON"):
        make()
    (tokenizer / "special_tokens.json").unlink()
    with pytest.raises(MissingArtifact, match=r"special_tokens\.json: missing"):
        make()


def test_the_shape_is_that_of_the_checkpoint_where_training_starts_unless_one_is_chosen(
    tokenizer: Path, shards: Path, output: Path, tmp_path: Path
) -> None:
    (tmp_path / "start").mkdir()
    (tmp_path / "start" / CONFIG).write_text(json.dumps(huggingface_config(SHAPE, "float32")))
    for choices, n_layer in ((Choices(tokens=500_000), 4), (Choices(tokens=500_000, shape=replace(SHAPE, n_layer=3)), 3)):
        inputs = {"tokenizer": tokenizer, "token_shards": shards, "start": tmp_path / "start", "output": output / str(n_layer)}
        inputs["output"].mkdir()
        plan(ScalingConfig(compute=None), choices=choices, **inputs)
        assert Plan.read(inputs["output"]).shape == replace(SHAPE, n_layer=n_layer)

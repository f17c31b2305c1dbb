"""A tiny checkpoint, the plan that it was trained by, what evaluation found of it, and a lineage."""

import json
from dataclasses import dataclass
from pathlib import Path

import pytest
import tokenizers
from tokenizers import decoders, models, pre_tokenizers

from components.artifacts import CheckReport, Expectation, Lineage, LineageNode, Mixture, ModelShape, RawSource
from components.model import huggingface
from components.model.decoder import Decoder, initialise
from components.scaling.config import ScalingConfig
from components.scaling.planning.plan import plan
from components.tokenizer import special_tokens
from components.tokenizer.chat import TEMPLATE
from components.training.config import Choices
from tests.components.artifacts.samples import FINDINGS, domain_tokens, index_of

BOS, EOS, PAD = "<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>", "<｜pad｜>"
SHAPE = ModelShape(n_layer=2, d_model=32, n_head=4, n_kv_head=2, d_ffn=64, vocab_size=264, context=64)
PASSED = CheckReport(name="corpus", expectations=(Expectation(name="ids are distinct", observed="0 duplicates", passed=True),))
FAILED = CheckReport(
    name="training",
    expectations=(
        Expectation(name="loss falls", observed="5.1 to 5.3", passed=False),
        Expectation(name="a warning", observed="7", passed=False, critical=False),
    ),
)


def lineage() -> Lineage:
    """What the workflow hands over: artifacts at URIs that differ from machine to machine."""

    def node(step: str, kind: str, raw: tuple[RawSource, ...] = (), **inputs: str) -> LineageNode:
        return LineageNode(
            step=step,
            kind=kind,
            uri=f"/home/someone/.longrun/artifacts/{step}/1",
            content_digest=f"content-of-{step}",
            evidence_digest=f"digest-of-{step}",
            config={"seed": 0},
            code_digest=f"code-of-{step}",
            environment_digest="environment-1",
            figures={},
            inputs={name: f"digest-of-{digest}" for name, digest in inputs.items()},
            raw=raw,
        )

    nodes = (
        node("dpo", "Checkpoint", plan="scaling", corpus="curation"),
        node("scaling", "TrainingPlan", corpus="curation"),
        node("curation", "Corpus", (RawSource(source="python-environment:", files=12, bytes=13000, sha256="raw-digest"),)),
    )
    return Lineage(root="digest-of-dpo", artifacts={node.evidence_digest: node for node in nodes})


@dataclass(frozen=True)
class Finished:
    """Directories of what the chain made before registration."""

    checkpoint: Path
    report: Path
    plan: Path


@pytest.fixture(scope="session")
def tokenizer_directory(tmp_path_factory) -> Path:
    """A byte-level tokenizer without merges, in the layout of a tokenizer artifact."""
    output = tmp_path_factory.mktemp("tokenizer")
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    library = tokenizers.Tokenizer(models.BPE({letter: number for number, letter in enumerate(alphabet)}, []))
    library.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    library.decoder = decoders.ByteLevel()
    library.add_special_tokens([BOS, EOS, PAD])
    library.save(str(output / "tokenizer.json"))
    special_tokens.after(256, 264).write(output)
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": BOS, "eos_token": EOS, "pad_token": PAD}
    (output / "tokenizer_config.json").write_text(json.dumps(settings | {"chat_template": TEMPLATE}))
    return output


@pytest.fixture(scope="session")
def plan_directory(tmp_path_factory, tokenizer_directory) -> Path:
    """A training plan as written by the step scaling, with a learning rate other than its law's."""
    shards, output = tmp_path_factory.mktemp("token_shards"), tmp_path_factory.mktemp("plan")
    index_of({"code": domain_tokens(1_000_000)}, vocab_size=264).write(shards)
    Mixture(shares={"code": 1.0}, epoch_limits={"code": 4.0}).write(shards)
    choices = Choices(shape=SHAPE, tokens=1_000_000, batch_size=8, learning_rate=0.001)
    plan(ScalingConfig(compute=None), choices=choices, tokenizer=tokenizer_directory, token_shards=shards, output=output)
    return output


@pytest.fixture
def finished(tmp_path, tokenizer_directory, plan_directory) -> Finished:
    """A checkpoint and its report, written anew for each test so that a test may break them."""
    return finished_in(tmp_path, tokenizer_directory, plan_directory)


def finished_in(folder: Path, tokenizer: Path, plan: Path) -> Finished:
    """A checkpoint and its report in a folder."""
    model = Decoder(SHAPE)
    initialise(model, std=0.1, seed=3)
    checkpoint, report = folder / "checkpoint", folder / "report"
    huggingface.save(model, tokenizer, checkpoint)
    (checkpoint / "metrics").mkdir()
    (checkpoint / "manifest.json").write_text("{}")
    report.mkdir()
    FINDINGS.write(report)
    return Finished(checkpoint=checkpoint, report=report, plan=plan)

"""A tiny checkpoint, what evaluation found of it, and a lineage."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import tokenizers
from tokenizers import decoders, models, pre_tokenizers

from components.artifacts import CheckReport, Expectation, ModelShape
from components.model import huggingface
from components.model.decoder import Decoder, initialise
from components.tokenizer.chat import TEMPLATE

BOS, EOS, PAD = "<｜begin▁of▁sentence｜>", "<｜end▁of▁sentence｜>", "<｜pad｜>"
PASSED = CheckReport(name="corpus", expectations=(Expectation(name="ids are distinct", observed="0 duplicates", passed=True),))
FAILED = CheckReport(
    name="training",
    expectations=(
        Expectation(name="loss falls", observed="5.1 to 5.3", passed=False),
        Expectation(name="a warning", observed="7", passed=False, critical=False),
    ),
)
REPORT = {
    "bits_per_byte": [
        {"model": model, "domain": domain, "bits_per_byte": value, "documents": 9, "bytes": 12345}
        for model, values in {"base": (2.0, 2.2), "dpo": (2.1, 2.3), "byte-unigram": (4.6, 4.4), "zlib-9": (2.0, 3.9)}.items()
        for domain, value in zip(("code", "prose"), values, strict=True)
    ],
    "aggregate": {"base": 2.1, "dpo": 2.2, "byte-unigram": 4.5, "zlib-9": 2.95},
    "tasks": [
        {
            **{"model": "dpo", "task": "answer-choice", "metric": "acc_norm", "value": 0.4, "items": 50, "chance": 0.25},
            **{"clean_value": None, "clean_items": None},
        },
        {
            **{"model": "dpo", "task": "quiz", "metric": "acc", "value": 0.45, "items": 1200, "chance": 0.25},
            **{"clean_value": 0.44, "clean_items": 1160},
        },
    ],
    "contamination": [{"benchmark": "quiz", "items": 1200, "contaminated": 30, "not_searched": 10, "documents": 41}],
    "origins": [
        {"source": "python-environment:", "domain": "code", "language": "code", "licence": "MIT", "documents": 8, "bytes": 9000},
        {"source": "python-environment:", "domain": "prose", "language": "en", "licence": "", "documents": 2, "bytes": 3000},
        {"source": "file:books|old", "domain": "prose", "language": "en", "licence": "MIT", "documents": 1, "bytes": 1000},
    ],
}


def lineage() -> dict[str, Any]:
    """What the workflow hands over: a tree of manifests, with places that differ from machine to machine."""

    def node(step: str, kind: str, **more: Any) -> dict[str, Any]:
        return {
            "step": step,
            "kind": kind,
            "uri": f"/home/someone/.longrun/artifacts/{step}/1",
            "digest": f"digest-of-{step}",
            "config": {"seed": 0},
            "code_digest": f"code-of-{step}",
            "environment_digest": "environment-1",
            "figures": {},
            "inputs": {},
            "raw": [],
        } | more

    corpus = node(
        "curation", "Corpus", raw=[{"source": "python-environment:", "files": 12, "bytes": 13000, "digest": "raw-digest"}]
    )
    plan = node(
        "scaling",
        "TrainingPlan",
        inputs={"corpus": corpus},
        figures={
            "learning_rate": 0.001,
            "tokens": 1_000_000,
            "notes": ["small", "extrapolated"],
            "law": {"learning_rate": 0.0023},
        },
    )
    return node("dpo", "Checkpoint", inputs={"plan": plan, "corpus": corpus})


@dataclass(frozen=True)
class Finished:
    """Directories of what the chain made before registration."""

    checkpoint: Path
    report: Path


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
    special = {"bos": 256, "eos": 257, "pad": 258, "vocab_size": 264, "regular_tokens": 256}
    (output / "special_tokens.json").write_text(json.dumps(special))
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "bos_token": BOS, "eos_token": EOS, "pad_token": PAD}
    (output / "tokenizer_config.json").write_text(json.dumps(settings | {"chat_template": TEMPLATE}))
    return output


@pytest.fixture
def finished(tmp_path, tokenizer_directory) -> Finished:
    """A checkpoint and its report, written anew for each test so that a test may break them."""
    model = Decoder(ModelShape(n_layer=2, d_model=32, n_head=4, n_kv_head=2, d_ffn=64, vocab_size=264, context=64))
    initialise(model, std=0.1, seed=3)
    checkpoint, report = tmp_path / "checkpoint", tmp_path / "report"
    huggingface.save(model, tokenizer_directory, checkpoint)
    (checkpoint / "metrics").mkdir()
    (checkpoint / "manifest.json").write_text("{}")
    report.mkdir()
    (report / "report.json").write_text(json.dumps(REPORT))
    return Finished(checkpoint=checkpoint, report=report)

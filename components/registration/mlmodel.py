"""Makes the directory of a registered model an MLflow model as well, so that MLflow loads the same weights as transformers.

MLflow reads the file `MLmodel`, which is YAML, and below it the tokenizer in `components/tokenizer`. Format and keys:
https://mlflow.org/docs/latest/ml/model/ and https://mlflow.org/docs/latest/ml/deep-learning/transformers/. Versions and times are
left out, because equal models must have equal files.
"""

import json
import shutil
from collections.abc import Mapping
from pathlib import Path

from components.files import JSON
from components.tokenizer.chat import ASSISTANT, USER
from components.tokenizer.special_tokens import TOKENIZER_FILES

MLMODEL, EXAMPLE, SERVING_EXAMPLE = "MLmodel", "input_example.json", "serving_input_example.json"

_TOKENIZER = "components/tokenizer"
"""Directory in which MLflow looks for the tokenizer. Only the tokenizer's files are there twice, not the weights."""

_PROMPT = f"{USER}Hello{ASSISTANT}"
"""The input example: a conversation that waits for an answer."""

_FLAVORS: dict[str, JSON] = {
    "python_function": {"loader_module": "mlflow.transformers", "model_binary": "."},
    "transformers": {
        "task": "text-generation",
        "instance_type": "TextGenerationPipeline",
        "pipeline_model_type": "LlamaForCausalLM",
        "components": ["tokenizer"],
        "tokenizer_type": "PreTrainedTokenizerFast",
        "model_binary": ".",
    },
}
"""How MLflow loads the directory; `model_binary` is the directory of the weights, relative to `MLmodel`."""


def write_mlmodel(directory: Path) -> None:
    """Describe the model and tokenizer in `directory` to MLflow, as the flavors `transformers` and `python_function`.

    As a Python function, the model takes texts and returns each with its continuation; parameters are `max_new_tokens` (64 unless
    given) and `do_sample` (false unless given).
    """
    target = directory / _TOKENIZER
    target.mkdir(parents=True)
    for name in TOKENIZER_FILES:
        shutil.copyfile(directory / name, target / name)
    _write(directory / MLMODEL, {"flavors": _FLAVORS, "signature": _signature(), "saved_input_example_info": _example()})
    _write(directory / EXAMPLE, [_PROMPT])
    _write(directory / SERVING_EXAMPLE, {"inputs": [_PROMPT]})


def _signature() -> dict[str, JSON]:
    """Inputs, outputs and parameters, each as a string of JSON."""
    text = [{"type": "string", "required": True}]
    params = [_param("max_new_tokens", "long", 64), _param("do_sample", "boolean", False)]
    return {"inputs": json.dumps(text), "outputs": json.dumps(text), "params": json.dumps(params)}


def _param(name: str, kind: str, default: JSON) -> dict[str, JSON]:
    return {"name": name, "type": kind, "default": default, "shape": None}


def _example() -> dict[str, JSON]:
    return {"artifact_path": EXAMPLE, "type": "json_object", "serving_input_path": SERVING_EXAMPLE}


def _write(path: Path, value: Mapping[str, JSON] | list[str]) -> None:
    path.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")  # JSON is YAML too

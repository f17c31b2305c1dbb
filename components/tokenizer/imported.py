"""The tokenizer that comes with a Hugging Face checkpoint, in the files that ours reads."""

import json
import shutil
from pathlib import Path
from typing import Any

import tokenizers

from components.errors import ConfigError, DamagedArtifact, MissingArtifact
from components.tokenizer import chat, special_tokens, text_tokenizer
from components.tokenizer.special_tokens import TOKENIZER_FILES, SpecialTokens

CONFIG = "tokenizer_config.json"


def import_tokenizer(checkpoint: Path, output: Path) -> None:
    """Write `TOKENIZER_FILES` into `output`: of a checkpoint of ours as they are, of others made from `tokenizer.json`.

    BOS, EOS and padding are those of `config.json`, else of `tokenizer_config.json`; without padding EOS stands in, which is not
    learned where it pads. Conversations get our chat format, because SFT teaches that.

    Raises:
        MissingArtifact: no `tokenizer.json`; a SentencePiece model alone is not read.
        DamagedArtifact: it is no tokenizer.
        ConfigError: no BOS or EOS, or more ids than the model's embedding has rows.
    """
    if (checkpoint / special_tokens.FILE).is_file():
        for name in TOKENIZER_FILES:
            shutil.copyfile(checkpoint / name, output / name)
        return
    library, ours = _library(checkpoint / text_tokenizer.FILE), _special_tokens(checkpoint)
    ours.write(output)
    (output / text_tokenizer.FILE).write_text(library.to_str(pretty=True) + "\n", encoding="utf-8")
    for_transformers = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        **{f"{name}_token": library.id_to_token(getattr(ours, name)) for name in ("bos", "eos", "pad")},
        "clean_up_tokenization_spaces": False,
        "split_special_tokens": False,
        "chat_template": chat.TEMPLATE,
    }
    (output / CONFIG).write_text(json.dumps(for_transformers, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def _library(path: Path) -> tokenizers.Tokenizer:
    if not path.is_file():
        raise MissingArtifact(f"{path}: missing; a checkpoint brings its tokenizer as tokenizer.json (transformers saves one)")
    try:
        library = tokenizers.Tokenizer.from_str(path.read_text(encoding="utf-8"))
    except Exception as error:  # the library raises nothing narrower
        raise DamagedArtifact(f"{path}: not a tokenizer ({error}); fetch the checkpoint again") from error
    library.no_truncation()
    library.no_padding()
    return library


def _special_tokens(checkpoint: Path) -> SpecialTokens:
    library = _library(checkpoint / text_tokenizer.FILE)
    model, told = (_json(checkpoint / name) for name in ("config.json", CONFIG))
    ids = {name: _id(name, model, told, library) for name in ("bos", "eos", "pad")}
    for name in ("bos", "eos"):
        if ids[name] is None:
            raise ConfigError(f"{checkpoint}: no {name}_token_id in config.json and no {name}_token in {CONFIG}; name one there")
    vocabulary = library.get_vocab(with_added_tokens=True).values()
    control = {number for number, token in library.get_added_tokens_decoder().items() if token.special}
    if max(vocabulary) >= model["vocab_size"]:
        raise ConfigError(f"{checkpoint}: ids up to {max(vocabulary)}, the model's embedding has {model['vocab_size']} rows")
    regular = 1 + max(set(vocabulary) - control)
    padding = ids["eos"] if ids["pad"] is None else ids["pad"]
    return SpecialTokens(bos=ids["bos"], eos=ids["eos"], pad=padding, vocab_size=model["vocab_size"], regular_tokens=regular)


def _id(name: str, model: dict[str, Any], told: dict[str, Any], library: tokenizers.Tokenizer) -> Any:
    """The id of a control token, the first where there are several; None where nothing names it."""
    found = model.get(f"{name}_token_id")
    found = found[0] if isinstance(found, list) and found else found
    if isinstance(found, int) and found >= 0:
        return found
    token = told.get(f"{name}_token")
    text = token.get("content") if isinstance(token, dict) else token
    return library.token_to_id(text) if isinstance(text, str) else None


def _json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_bytes()) if path.is_file() else {}
    except ValueError as error:
        raise DamagedArtifact(f"{path}: not JSON ({error}); fetch the checkpoint again") from error
    if not isinstance(value, dict):
        raise DamagedArtifact(f"{path}: not a JSON object; fetch the checkpoint again")
    return value

"""The tokenizer that comes with a Hugging Face checkpoint, in the files that ours reads.

Two things let a text that writes out a control token get its id elsewhere, and are mended here: an added token that is not marked
special is always looked for in texts, and a model that knows the token's characters as one of its pieces (SentencePiece's unigram
models do) puts it where they stand.
"""

import json
import re
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import tokenizers

from components.errors import ConfigError, DamagedArtifact, MissingArtifact
from components.tokenizer import chat, special_tokens, text_tokenizer
from components.tokenizer.special_tokens import TOKENIZER_FILES, SpecialTokens
from components.tokenizer.text_tokenizer import TextTokenizer

CONFIG = "tokenizer_config.json"

CONTROL = ("bos", "eos", "pad")

UNKNOWN = "\U0010fffd"
"""The last character for private use, which no vocabulary holds: it becomes the unknown token where there is one."""

AROUND = ("{}", " {} ", "a {} b", "a{}b", "{}{}", "\n{}\n", "\t{}", "{}.", "({})", "<{}>")
"""What stands around a control token in the texts that are tried."""


def import_tokenizer(checkpoint: Path, output: Path) -> None:
    """Write `TOKENIZER_FILES` into `output`: of a checkpoint of ours as they are, of others made from `tokenizer.json`.

    BOS, EOS and padding are those of `config.json`, else of `tokenizer_config.json`; without padding EOS stands in, which is not
    learned where it pads. Conversations get our chat format, because SFT teaches that. Special tokens are put out of the reach of
    texts, also of those that write them out.

    Raises:
        MissingArtifact: no `tokenizer.json`; a SentencePiece model alone is not read.
        DamagedArtifact: it is no tokenizer.
        ConfigError: no BOS or EOS, more ids than the model's embedding has rows, or a text becomes one of the three all the same.
    """
    if (checkpoint / special_tokens.FILE).is_file():
        for name in TOKENIZER_FILES:
            shutil.copyfile(checkpoint / name, output / name)
    else:
        _write(checkpoint, output)
    _refuse_if_text_reaches_control(TextTokenizer.load(output), checkpoint)


def _write(checkpoint: Path, output: Path) -> None:
    library = _library(checkpoint / text_tokenizer.FILE)
    ours = _special_tokens(checkpoint, library)
    ours.write(output)
    (output / text_tokenizer.FILE).write_text(library.to_str(pretty=True) + "\n", encoding="utf-8")
    for_transformers = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        **{f"{name}_token": library.id_to_token(getattr(ours, name)) for name in CONTROL},
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


def _special_tokens(checkpoint: Path, library: tokenizers.Tokenizer) -> SpecialTokens:
    """The control tokens of a checkpoint, which the library then keeps from texts."""
    model, told = (_json(checkpoint / name) for name in ("config.json", CONFIG))
    ids = {name: _id(name, model, told, library) for name in CONTROL}
    for name in ("bos", "eos"):
        if ids[name] is None:
            raise ConfigError(f"{checkpoint}: no {name}_token_id in config.json and no {name}_token in {CONFIG}; name one there")
    vocabulary = library.get_vocab(with_added_tokens=True).values()
    control = _keep_from_text(library, {number for number in ids.values() if number is not None})
    if max(vocabulary) >= model["vocab_size"]:
        raise ConfigError(f"{checkpoint}: ids up to {max(vocabulary)}, the model's embedding has {model['vocab_size']} rows")
    regular = 1 + max(set(vocabulary) - control)
    padding = ids["eos"] if ids["pad"] is None else ids["pad"]
    return SpecialTokens(bos=ids["bos"], eos=ids["eos"], pad=padding, vocab_size=model["vocab_size"], regular_tokens=regular)


def _keep_from_text(library: tokenizers.Tokenizer, named: Iterable[int]) -> set[int]:
    """Make the named tokens special, and part the characters of all special tokens that the model could put; their ids."""
    names = [name for number in sorted(named) if (name := library.id_to_token(number)) is not None]
    library.add_special_tokens([tokenizers.AddedToken(name, special=True, normalized=False) for name in names])
    special = {number: token.content for number, token in library.get_added_tokens_decoder().items() if token.special}
    # One character cannot be parted.
    parted = [name for name in _pieces_of_text(library) & set(special.values()) if len(name) > 1]
    if parted:
        # Matches are a single character long, so none hides where another token begins.
        pattern = "|".join(f"{re.escape(name[0])}(?={re.escape(name[1:])})" for name in sorted(parted))
        cut = tokenizers.pre_tokenizers.Split(tokenizers.Regex(pattern), "isolated")
        before = [] if library.pre_tokenizer is None else [library.pre_tokenizer]
        library.pre_tokenizer = tokenizers.pre_tokenizers.Sequence([*before, cut])
    return set(special)


def _pieces_of_text(library: tokenizers.Tokenizer) -> set[str]:
    """What the model can make of characters, single characters aside: of BPE what merges give, else its whole vocabulary."""
    model = json.loads(library.to_str())["model"]
    if model["type"] == "BPE" and not model.get("ignore_merges"):
        return {"".join(pair) for pair in model["merges"]}
    return set(library.get_vocab(with_added_tokens=False))


def _refuse_if_text_reaches_control(tokenizer: TextTokenizer, checkpoint: Path) -> None:
    ids = dict(zip(CONTROL, (tokenizer.bos_id, tokenizer.eos_id, tokenizer.pad_id), strict=True))
    names = {name: tokenizer.library.id_to_token(number) for name, number in ids.items()}
    texts = [UNKNOWN, *(around.replace("{}", name) for name in names.values() if name for around in AROUND)]
    for text, found in zip(texts, tokenizer.encode_batch(texts), strict=True):
        for name, number in ids.items():
            if number in found:
                raise ConfigError(
                    f"{checkpoint}: the text {text!r} is encoded with the id {number} of the {name} token {names[name]!r}, which "
                    "only code may put; allowed: a token of two or more characters that is not the unknown one; name such a "
                    "token in config.json (without padding EOS stands in)"
                )


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

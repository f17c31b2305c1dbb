"""Importing an existing tokenizer, such as that of a Hugging Face checkpoint, into the files of a tokenizer artifact.

Elsewhere a text that spells out a control token can get its id in two ways, which are closed here: an added token that is not
marked special is always matched in texts; and a model with the token's characters in its vocabulary, as SentencePiece's unigram
models have them, encodes them as that token.
"""

import json
import re
import shutil
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import tokenizers

from components.errors import ConfigError, DamagedArtifact, MissingArtifact
from components.files import read_json
from components.tokenizer import chat, text_tokenizer
from components.tokenizer.special_tokens import TOKENIZER_FILES, SpecialTokens
from components.tokenizer.text_tokenizer import TextTokenizer

CONFIG = "tokenizer_config.json"

CONTROL = ("bos", "eos", "pad")

UNKNOWN = "\U0010fffd"
"""The last character for private use, which is in no vocabulary: it is encoded as the unknown token where there is one."""

CONTEXTS = ("{}", " {} ", "a {} b", "a{}b", "{}{}", "\n{}\n", "\t{}", "{}.", "({})", "<{}>")
"""The texts around a control token with which an imported tokenizer is tested."""


Rows = Callable[[int], int]
"""Gives the rows of an embedding for a number of ids."""


def import_tokenizer(checkpoint: Path, output: Path, rows: Rows | None = None) -> None:
    """Write `TOKENIZER_FILES` into `output`: copied from a checkpoint or tokenizer of longrun, else made from `tokenizer.json`.

    BOS, EOS and padding are those of `config.json`, else of `tokenizer_config.json`; without padding EOS is used, which is not
    learned where it pads. Conversations get longrun's chat format, because SFT teaches that. No text is encoded into a special
    token any more, even if it spells it out. The size of the vocabulary is that in `config.json`; where it gives none, that of
    `rows`.

    Raises:
        MissingArtifact: no `tokenizer.json`; a SentencePiece model alone is not read. A file of longrun's own is missing.
        DamagedArtifact: it is no tokenizer.
        ConfigError: no BOS or EOS, no size of the vocabulary, more ids than that, or a text that still gets one of the three ids.
    """
    if (checkpoint / SpecialTokens.NAME).is_file():
        _copy(checkpoint, output)
    else:
        _write(checkpoint, output, rows)
    _refuse_if_text_reaches_control(TextTokenizer.load(output), checkpoint)


def _copy(checkpoint: Path, output: Path) -> None:
    for name in TOKENIZER_FILES:
        if not (checkpoint / name).is_file():
            raise MissingArtifact(
                f"{checkpoint / name}: missing; {checkpoint} has only some of the files of a tokenizer of longrun"
            )
        shutil.copyfile(checkpoint / name, output / name)


def _write(checkpoint: Path, output: Path, rows: Rows | None) -> None:
    library = _library(checkpoint / text_tokenizer.FILE)
    ours = _special_tokens(checkpoint, library, rows)
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


def _special_tokens(checkpoint: Path, library: tokenizers.Tokenizer, rows: Rows | None) -> SpecialTokens:
    """The control tokens of a checkpoint; from now on the library gives them to no text."""
    model, described = (_read_if_there(checkpoint / name) for name in ("config.json", CONFIG))
    ids = {name: _id(name, model, described, library) for name in CONTROL}
    for name in ("bos", "eos"):
        if ids[name] is None:
            raise ConfigError(f"{checkpoint}: no {name}_token_id in config.json and no {name}_token in {CONFIG}; name one there")
    vocabulary = library.get_vocab(with_added_tokens=True).values()
    control = _reserve(library, {number for number in ids.values() if number is not None})
    size = model.get("vocab_size", rows(1 + max(vocabulary)) if rows else None)
    if size is None:
        raise ConfigError(f"{checkpoint}: no vocab_size in config.json; a checkpoint's config gives it")
    if max(vocabulary) >= size:
        raise ConfigError(f"{checkpoint}: ids up to {max(vocabulary)}, the model's embedding has {size} rows")
    regular = 1 + max(set(vocabulary) - control)
    padding = ids["eos"] if ids["pad"] is None else ids["pad"]
    return SpecialTokens(bos=ids["bos"], eos=ids["eos"], pad=padding, vocab_size=size, regular_tokens=regular)


def _reserve(library: tokenizers.Tokenizer, named: Iterable[int]) -> set[int]:
    """Make the named tokens special, and split the characters of every special token that the model could make; ids of all."""
    names = [name for number in sorted(named) if (name := library.id_to_token(number)) is not None]
    library.add_special_tokens([tokenizers.AddedToken(name, special=True, normalized=False) for name in names])
    special = {number: token.content for number, token in library.get_added_tokens_decoder().items() if token.special}
    # A single character cannot be split.
    reachable = [name for name in _pieces_of_text(library) & set(special.values()) if len(name) > 1]
    if reachable:
        # Each match is a single character, so that none hides the start of another token.
        pattern = "|".join(f"{re.escape(name[0])}(?={re.escape(name[1:])})" for name in sorted(reachable))
        split = tokenizers.pre_tokenizers.Split(tokenizers.Regex(pattern), "isolated")
        before = [] if library.pre_tokenizer is None else [library.pre_tokenizer]
        library.pre_tokenizer = tokenizers.pre_tokenizers.Sequence([*before, split])
    return set(special)


def _pieces_of_text(library: tokenizers.Tokenizer) -> set[str]:
    """The tokens of several characters that the model can make of text: the products of BPE's merges, else its vocabulary."""
    model = json.loads(library.to_str())["model"]
    if model["type"] == "BPE" and not model.get("ignore_merges"):
        return {"".join(pair) for pair in model["merges"]}
    return set(library.get_vocab(with_added_tokens=False))


def _refuse_if_text_reaches_control(tokenizer: TextTokenizer, checkpoint: Path) -> None:
    ids = dict(zip(CONTROL, (tokenizer.bos_id, tokenizer.eos_id, tokenizer.pad_id), strict=True))
    names = {name: tokenizer.library.id_to_token(number) for name, number in ids.items()}
    texts = [UNKNOWN, *(context.replace("{}", name) for name in names.values() if name for context in CONTEXTS)]
    for text, encoded in zip(texts, tokenizer.encode_batch(texts), strict=True):
        for name, number in ids.items():
            if number in encoded:
                raise ConfigError(
                    f"{checkpoint}: the text {text!r} is encoded with the id {number} of the {name} token {names[name]!r}, which "
                    "only code may put; allowed: a token of two or more characters that is not the unknown one; name such a "
                    "token in config.json (without padding, EOS is used)"
                )


def _id(name: str, model: Mapping[str, Any], described: Mapping[str, Any], library: tokenizers.Tokenizer) -> Any:
    """The id of a control token, the first where there are several; None where neither file names it."""
    number = model.get(f"{name}_token_id")
    number = number[0] if isinstance(number, list) and number else number
    if isinstance(number, int) and number >= 0:
        return number
    token = described.get(f"{name}_token")
    text = token.get("content") if isinstance(token, dict) else token
    return library.token_to_id(text) if isinstance(text, str) else None


def _read_if_there(path: Path) -> Mapping[str, Any]:
    return read_json(path, dict, "fetch the checkpoint again") if path.is_file() else {}

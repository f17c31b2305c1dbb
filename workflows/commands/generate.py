"""`longrun generate`: generate text with a model."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

from components.model.configuration import MODEL
from components.tokenizer.imported import import_tokenizer
from components.tokenizer.special_tokens import SpecialTokens
from infra.settings import Settings
from workflows.commands.models import find_model


@dataclass(frozen=True, kw_only=True, slots=True)
class Prompt:
    """A prompt, and how to generate the text that follows it."""

    text: str
    raw: bool
    """Whether to continue the prompt instead of answering it in the chat format."""
    max_new_tokens: int
    """Maximum number of tokens to generate."""
    temperature: float
    """Sampling temperature; 0 always picks the most likely token."""
    seed: int
    """Random seed of the sampling."""


def answer(settings: Settings, model: str, prompt: Prompt) -> str:
    """The answer of a model to a prompt; if the prompt is raw, its text followed by the continuation."""
    directory = find_model(settings, model).directory(MODEL)
    if (directory / SpecialTokens.NAME).is_file():
        return _answer(directory, directory, prompt)
    # a model that longrun did not make
    with tempfile.TemporaryDirectory() as folder:
        import_tokenizer(directory, Path(folder))
        return _answer(directory, Path(folder), prompt)


def _answer(directory: Path, tokenizer_directory: Path, prompt: Prompt) -> str:
    from components.generation.sampling import generate
    from components.model.huggingface import load
    from components.tokenizer.chat import encode_prompt
    from components.tokenizer.text_tokenizer import TextTokenizer

    tokenizer = TextTokenizer.load(tokenizer_directory)
    turn = [{"role": "user", "content": prompt.text}]
    ids = [tokenizer.bos_id, *tokenizer.encode(prompt.text)] if prompt.raw else encode_prompt(tokenizer, turn)
    (tokens,) = generate(
        load(directory),
        [ids],
        max_new_tokens=prompt.max_new_tokens,
        temperature=prompt.temperature,
        top_p=1.0,
        stop_ids=(tokenizer.eos_id,),
        seed=prompt.seed,
    )
    text = tokenizer.decode([token for token in tokens if token != tokenizer.eos_id])
    return prompt.text + text if prompt.raw else text.strip()

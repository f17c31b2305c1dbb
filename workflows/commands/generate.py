"""`longrun generate`: what a registered model says to a prompt."""

from infra.settings import Settings
from workflows.commands.models import resolved


def answer(settings: Settings, model: str, prompt: str, *, raw: bool, max_new_tokens: int, temperature: float, seed: int) -> str:
    """What a registered model says to `prompt`, in the chat format or, with `raw`, as a continuation."""
    directory = settings.store.local(resolved(settings, model).artifact)
    from components.generation.sampling import generate
    from components.model.huggingface import load
    from components.tokenizer.chat import encode_prompt
    from components.tokenizer.text_tokenizer import TextTokenizer

    tokenizer = TextTokenizer.load(directory)
    turn = [{"role": "user", "content": prompt}]
    ids = [tokenizer.bos_id, *tokenizer.encode(prompt)] if raw else encode_prompt(tokenizer, turn)
    made = generate(
        load(directory),
        [ids],
        max_new_tokens=max_new_tokens,
        temperature=temperature,
        top_p=1.0,
        stop_ids=(tokenizer.eos_id,),
        seed=seed,
    )
    text = tokenizer.decode([token for token in made[0] if token != tokenizer.eos_id])
    return prompt + text if raw else text.strip()

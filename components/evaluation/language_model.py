"""Adapts a decoder to lm-eval's model interface."""

from collections.abc import Sequence

from lm_eval.api.instance import Instance
from lm_eval.api.model import LM

from components.generation.sampling import generate, score
from components.model.decoder import Decoder
from components.tokenizer.text_tokenizer import TextTokenizer


class HarnessModel(LM):
    """A decoder and its tokenizer, wrapped as an lm-eval model. Every text starts with BOS, as in training."""

    def __init__(self, model: Decoder, tokenizer: TextTokenizer, batch_tokens: int) -> None:
        super().__init__()
        self._model = model
        self._tokenizer = tokenizer
        self._batch_tokens = batch_tokens

    def loglikelihood(self, requests: list[Instance]) -> list[tuple[float, bool]]:
        """Log-probability (nats) of each continuation given its context, and whether greedy decoding would generate it.

        Context and continuation are encoded separately. If together they exceed the model's context length, the first tokens of
        the context are dropped (BOS is kept). A continuation longer than the context length is cut at its end, and only the rest
        is scored.
        """
        contexts = self._tokenizer.encode_batch([request.args[0] for request in requests])
        continuations = self._tokenizer.encode_batch([request.args[1] for request in requests])
        pairs = [self._truncated(*pair) for pair in zip(contexts, continuations, strict=True)]
        return score(self._model, pairs, batch_tokens=self._batch_tokens)

    def loglikelihood_rolling(self, requests: list[Instance]) -> list[float]:
        """Log-probability (nats) of each text, in windows of the model's context length; each token is scored once."""
        return [self._text_logprob(self._tokenizer.encode(request.args[0])) for request in requests]

    def generate_until(self, requests: list[Instance]) -> list[str]:
        """Greedy continuations, cut before the earliest occurrence of a string in `until`.

        Requests with equal generation arguments are batched together.
        """
        answers: dict[int, str] = {}
        by_arguments: dict[str, list[int]] = {}
        for number, request in enumerate(requests):
            by_arguments.setdefault(repr(request.args[1]), []).append(number)
        for numbers in by_arguments.values():
            answers |= zip(numbers, self._generated([requests[number] for number in numbers]), strict=True)
        return [answers[number] for number in range(len(requests))]

    def _generated(self, requests: list[Instance]) -> list[str]:
        """Greedy continuations for requests with equal generation arguments."""
        arguments = requests[0].args[1]
        limit = arguments["max_gen_toks"]
        max_tokens = self._model.shape.context - 1 - limit
        contexts = self._tokenizer.encode_batch([request.args[0] for request in requests])
        prompts = [[self._tokenizer.bos_id, *context[max(0, len(context) - max_tokens) :]] for context in contexts]
        answers = generate(
            self._model, prompts, max_new_tokens=limit, temperature=0.0, top_p=1.0, stop_ids=(self._tokenizer.eos_id,), seed=0
        )
        return [_cut_at_stop(self._tokenizer.decode(answer), arguments["until"]) for answer in answers]

    def _truncated(self, context: list[int], continuation: list[int]) -> tuple[list[int], list[int]]:
        scored = continuation[: self._model.shape.context]
        max_tokens = self._model.shape.context - len(scored)
        return [self._tokenizer.bos_id, *context[max(0, len(context) - max_tokens) :]], scored

    def _text_logprob(self, ids: list[int]) -> float:
        size = self._model.shape.context
        pairs = [
            ([ids[start - 1] if start else self._tokenizer.bos_id], ids[start : start + size])
            for start in range(0, len(ids), size)
        ]
        return sum(logprob for logprob, _ in score(self._model, pairs, batch_tokens=self._batch_tokens))


def _cut_at_stop(text: str, ends: Sequence[str]) -> str:
    return text[: min([position for end in ends if (position := text.find(end)) >= 0], default=len(text))]

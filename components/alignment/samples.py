"""Samples answers from the SFT model, which become the rejected answers of preference pairs."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from components.alignment.config import PreferencePairsConfig
from components.alignment.records import identifier
from components.artifacts import Conversation, OmissionCase, OmissionTally
from components.errors import require
from components.generation.sampling import generate
from components.model.decoder import Decoder
from components.model.huggingface import load
from components.ports import Metrics
from components.tokenizer.chat import encode_prompt
from components.tokenizer.text_tokenizer import TextTokenizer
from components.training.device import training_device

ANSWERED = "conversations to answer"
"""Unit of the omissions of conversations whose answers are compared with others."""

TOO_LONG = "too-long"

BATCHES = 8
"""Batches between two reports of progress. The prompts of these batches are sorted by length together, to reduce padding."""


@dataclass(frozen=True)
class Sampler:
    """A model from which answers are sampled, with its tokenizer and settings."""

    model: Decoder
    tokenizer: TextTokenizer
    config: PreferencePairsConfig
    metrics: Metrics
    tally: OmissionTally
    """Counts the conversations whose prompts are too long."""

    @classmethod
    def load(cls, checkpoint: Path, config: PreferencePairsConfig, metrics: Metrics, tally: OmissionTally) -> "Sampler":
        """Load the model of a checkpoint.

        Raises:
            ConfigError: `max_new_tokens` is not below the model's context.
        """
        model = load(checkpoint, device=training_device()).eval()
        context, limit = model.shape.context, config.max_new_tokens
        require(limit < context, config, "max_new_tokens", limit, f"below the model's context of {context}")
        return cls(model, TextTokenizer.load(checkpoint), config, metrics, tally)

    def answers(self, conversations: Sequence[Conversation]) -> Iterator[tuple[Conversation, str]]:
        """Yield each conversation whose prompt leaves `max_new_tokens` of the context free, with the model's answer.

        An answer that has not ended after `max_new_tokens` is used as it is.
        """
        prompts = [encode_prompt(self.tokenizer, conversation.messages[:1]) for conversation in conversations]
        max_prompt_tokens = self.model.shape.context - self.config.max_new_tokens
        fitting = []
        for conversation, prompt in zip(conversations, prompts, strict=True):
            if len(prompt) <= max_prompt_tokens:
                fitting.append((conversation, prompt))
                continue
            detail = f"the prompt has {len(prompt):,} tokens; {max_prompt_tokens:,} leave room for an answer"
            case = OmissionCase(uri=conversation.uri, detail=detail)
            self.tally.omit(conversation.source, ANSWERED, TOO_LONG, case, "preference_pairs.max_new_tokens")
        size = BATCHES * self.config.batch_size
        for start in range(0, len(fitting), size):
            batch, ids = zip(*fitting[start : start + size], strict=True)
            yield from zip(batch, self._generate(ids), strict=True)
            self.metrics.progress(min(start + size, len(fitting)), len(fitting), "samples")

    def _generate(self, prompts: Sequence[Sequence[int]]) -> list[str]:
        """The model's answer to each prompt. The random seed depends on the prompts, so that it differs between batches."""
        generated = generate(
            self.model,
            prompts,
            max_new_tokens=self.config.max_new_tokens,
            temperature=self.config.temperature,
            top_p=self.config.top_p,
            stop_ids=(self.tokenizer.eos_id,),
            seed=int(identifier(self.config.seed, *prompts[0])[:15], 16),
            batch_size=self.config.batch_size,
        )
        return [self.tokenizer.decode(ids).strip() for ids in generated]

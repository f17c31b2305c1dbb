"""What evaluation measures, and on how much held-out text."""

from dataclasses import dataclass, field

from components.errors import require
from components.extensions import TASK, Extension, kind

ANSWER_FORMS = ("number", "letter", "text")


@dataclass(frozen=True, kw_only=True, slots=True)
class BenchmarkTask:
    """How the items of a benchmark are asked; curation must have searched its documents for them."""

    name: str
    """Of one of `CurationConfig.benchmarks`."""
    prompt: str
    """The text before the answer, with fields of an item in braces: `Question: {question}\\nAnswer:`."""
    answer: str
    """Field of an item with the right option, or, without options, with the word to write; `a.b` is field b of field a."""
    choices: tuple[str, ...] = ()
    """Fields with the options, or the one with a list of them; empty: the model writes a word, as in LAMBADA (1606.06031)."""
    answer_form: str = "number"
    """How the answer names an option: `number` counts from 0, `letter` from A, `text` repeats it."""

    def __post_init__(self) -> None:
        for name in ("name", "prompt", "answer"):
            require(bool(getattr(self, name).strip()), self, name, getattr(self, name), "some text")
        require(self.answer_form in ANSWER_FORMS, self, "answer_form", self.answer_form, ", ".join(ANSWER_FORMS))


@dataclass(frozen=True, kw_only=True, slots=True)
class EvaluationConfig:
    """How much is scored. The defaults are full-scale figures; recipes for small machines shrink them."""

    max_bytes_per_domain: int = 400_000_000
    """UTF-8 bytes of held-out text scored in each domain; a document that does not fit is skipped.

    The paper's independent validation set has 100 M tokens (section 3.2), some 400 MB.
    """
    domain_shares: dict[str, float] = field(default_factory=dict)
    """Fixed weight of each domain in the aggregate; empty takes the shares of the corpus' mixture."""
    max_items_per_task: int = 10_000
    """Items of each task. HellaSwag, the largest perplexity-based task of the paper's table, has 10 042."""
    choices: int = 4
    """Options of a multiple-choice item, the right one included; chance is one in so many (HellaSwag, MMLU: 4)."""
    max_context_characters: int = 1200
    """Longest context of an item cut from a held-out document, in characters; some 300 tokens."""
    max_answer_characters: int = 240
    """Longest option of a multiple-choice item, in characters; HellaSwag's endings are about as long."""
    benchmarks: tuple[BenchmarkTask, ...] = ()
    """Public benchmarks, scored on all items and on those that no document held."""
    tasks: tuple[Extension, ...] = field(default=(), metadata=kind(TASK))
    """Tasks of the recipe's own beside those cut from held-out text; `components.evaluation.own_tasks` says what they are."""
    samples: int = 3
    """Prompts whose answers are shown, one of each model."""
    sample_prompts: tuple[str, ...] = ()
    """User messages to show answers to, instead of those of the first held-out conversations."""
    repetition_prompts: int = 3868
    """Held-out prompts over which the repetition ratio is measured (paper, section 4: 3 868)."""
    max_new_tokens: int = 512
    """Longest answer, in tokens; at most half of the model's context is used for it."""
    batch_tokens: int = 8192
    """Tokens scored in one forward pass; bounds memory: with 102 400 logits of 4 bytes each, 3.4 GB."""
    seed: int = 0
    """Draws the wrong options and the order of all."""

    def __post_init__(self) -> None:
        for name in (
            "max_bytes_per_domain",
            "max_items_per_task",
            "samples",
            "repetition_prompts",
            "max_new_tokens",
            "batch_tokens",
        ):
            require(getattr(self, name) >= 1, self, name, getattr(self, name), "a positive integer")
        for name in ("max_context_characters", "max_answer_characters"):
            require(getattr(self, name) >= 40, self, name, getattr(self, name), "at least 40 characters")
        names = [benchmark.name for benchmark in self.benchmarks]
        require(len(set(names)) == len(names), self, "benchmarks", names, "each name once")
        own = [task.label for task in self.tasks]
        require(len({*names, *own}) == len(names) + len(own), self, "tasks", own, "each name once, and none of a benchmark")
        require(self.choices >= 2, self, "choices", self.choices, "at least 2")
        require(self.seed >= 0, self, "seed", self.seed, "an integer of at least 0")
        shares = self.domain_shares
        require(all(share > 0 for share in shares.values()), self, "domain_shares", shares, "positive shares")
        whole = not shares or abs(sum(shares.values()) - 1) < 1e-6
        require(whole, self, "domain_shares", shares, "shares that sum to 1, or none")

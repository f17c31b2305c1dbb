"""The config of evaluation: what is measured, and on how much held-out text."""

from dataclasses import dataclass, field

from components.errors import require
from components.extensions import TASK, Extension, kind

ANSWER_FORMS = ("number", "letter", "text")


@dataclass(frozen=True, kw_only=True, slots=True)
class BenchmarkTask:
    """How the items of a benchmark are presented to a model; curation must have searched its documents for these items."""

    name: str
    """Name of the benchmark in `curation.filtering.benchmarks`."""
    prompt: str
    """Text before the answer, with fields of the item in braces, such as `Question: {question}\\nAnswer:`."""
    answer: str
    """Name of the item's field that has the correct option or, without options, the word to generate; `a.b` is field b of field
    a."""
    choices: tuple[str, ...] = ()
    """Names of the item's fields that have the options, or of one field with a list of options; empty: the model generates a
    word, as in LAMBADA (arXiv 1606.06031)."""
    answer_form: str = "number"
    """How the answer identifies an option: `number`: index from 0; `letter`: A, B, …; `text`: the text of the option."""

    def __post_init__(self) -> None:
        for name in ("name", "prompt", "answer"):
            require(bool(getattr(self, name).strip()), self, name, getattr(self, name), "a non-empty text")
        require(self.answer_form in ANSWER_FORMS, self, "answer_form", self.answer_form, ", ".join(ANSWER_FORMS))


@dataclass(frozen=True, kw_only=True, slots=True)
class EvaluationConfig:
    """What is measured, and how much. The defaults are for full-scale runs; recipes for small machines use smaller values."""

    max_bytes_per_domain: int = 400_000_000
    """Maximum UTF-8 bytes of held-out text scored in each domain; documents that do not fit are skipped.

    The paper's independent validation set has 100 M tokens (section 3.2), about 400 MB.
    """
    domain_shares: dict[str, float] = field(default_factory=dict)
    """Weight of each domain in the aggregate; empty: the shares of the corpus's mixture."""
    max_items_per_task: int = 10_000
    """Maximum items per task. HellaSwag, the largest perplexity-based task in the paper's table, has 10 042."""
    choices: int = 4
    """Number of options of a multiple-choice item, including the correct one (4 in HellaSwag and MMLU)."""
    max_context_characters: int = 1200
    """Maximum characters of the context of an item cut from a held-out document; about 300 tokens."""
    max_answer_characters: int = 240
    """Maximum characters of an option of a multiple-choice item; HellaSwag's endings are about as long."""
    benchmarks: tuple[BenchmarkTask, ...] = ()
    """Public benchmarks, scored on all items and on uncontaminated items."""
    tasks: tuple[Extension, ...] = field(default=(), metadata=kind(TASK))
    """The recipe's own tasks, in addition to those cut from held-out text; see `components.evaluation.own_tasks`."""
    samples: int = 3
    """Number of prompts for which the report shows an answer of each model."""
    sample_prompts: tuple[str, ...] = ()
    """User messages for which the report shows answers; empty: those of the first held-out conversations."""
    repetition_prompts: int = 3868
    """Maximum held-out prompts on which the repetition ratio is measured (paper, section 4: 3 868)."""
    max_new_tokens: int = 512
    """Maximum tokens of an answer; at most half of the model's context."""
    batch_tokens: int = 8192
    """Tokens scored in one forward pass. Limits memory use: with 102 400 logits of 4 bytes per token, 8192 tokens need 3.4 GB."""
    seed: int = 0
    """Random seed for choosing wrong options and the order of options and items."""

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
        require(
            len({*names, *own}) == len(names) + len(own), self, "tasks", own, "each name once, and not the name of a benchmark"
        )
        require(self.choices >= 2, self, "choices", self.choices, "at least 2")
        require(self.seed >= 0, self, "seed", self.seed, "an integer from 0")
        shares = self.domain_shares
        require(all(share > 0 for share in shares.values()), self, "domain_shares", shares, "positive shares")
        whole = not shares or abs(sum(shares.values()) - 1) < 1e-6
        require(whole, self, "domain_shares", shares, "shares that sum to 1, or no shares")

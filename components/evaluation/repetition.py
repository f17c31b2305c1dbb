"""When an answer has fallen into endless repetition, and how many have."""

from collections.abc import Sequence


def repeats_endlessly(answer: Sequence[int], limit: int) -> bool:
    """Whether greedy decoding got stuck: `answer` (token ids) reached `limit`, and its second half goes round in a circle.

    A circle is a period of at most a quarter of the answer, so it is gone round at least twice in that half.
    The paper counts "endless repetition" at temperature 0 (section 5.4, table on two-stage fine-tuning) without saying
    how it recognises it; this definition is ours.
    """
    if len(answer) < limit:
        return False
    half = len(answer) // 2
    return any(answer[half:] == answer[half - period : -period] for period in range(1, len(answer) // 4 + 1))


def repetition_ratio(answers: Sequence[Sequence[int]], limit: int) -> float:
    """Share of `answers` that repeat endlessly; `limit` is the number of tokens at which decoding was cut off."""
    return sum(repeats_endlessly(answer, limit) for answer in answers) / len(answers)

"""Detects endless repetition within an answer, and equal answers to different prompts."""

from collections.abc import Sequence


def repeats_endlessly(answer: Sequence[int], limit: int) -> bool:
    """Whether greedy decoding got stuck: `answer` (token ids) reached `limit` tokens, and its second half is periodic.

    The period must be at most a quarter of the answer, so it occurs at least twice in the second half. The paper counts
    "endless repetition" at temperature 0 (section 5.4, table on two-stage fine-tuning) but does not define it; this is
    longrun's definition.
    """
    if len(answer) < limit:
        return False
    half = len(answer) // 2
    return any(answer[half:] == answer[half - period : -period] for period in range(1, len(answer) // 4 + 1))


def distinct_first_lines(answers: Sequence[str]) -> float:
    """Number of different first lines among `answers`, divided by the number of answers; 1 if no two start with the same line.

    Leading and trailing white space is ignored.
    """
    return len({answer.strip().partition("\n")[0].strip() for answer in answers}) / len(answers)

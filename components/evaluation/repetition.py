"""Endless repetition within an answer, and answers that are the same for different prompts."""

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


def distinct_first_lines(answers: Sequence[str]) -> float:
    """Different first lines among `answers`, divided by their number: 1 where no two answers begin with the same line.

    A first line is what precedes the first line break, without surrounding white space.
    """
    return len({answer.strip().partition("\n")[0].strip() for answer in answers}) / len(answers)

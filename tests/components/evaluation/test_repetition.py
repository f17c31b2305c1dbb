"""What counts as endless repetition, and how answers to different prompts are told apart."""

from components.evaluation.repetition import distinct_first_lines, repeats_endlessly


def test_a_word_said_over_and_over_until_the_limit_is_endless():
    assert repeats_endlessly([5, 9, 2, 4] + [7] * 12, limit=16)


def test_a_phrase_going_round_is_endless():
    assert repeats_endlessly([1, 2, 3, 4] * 4, limit=16)


def test_an_answer_that_ended_by_itself_is_not_endless():
    assert not repeats_endlessly([7] * 15, limit=16)


def test_an_answer_cut_off_while_saying_something_is_not_endless():
    assert not repeats_endlessly(list(range(16)), limit=16)


def test_a_late_change_breaks_the_circle():
    assert not repeats_endlessly([7] * 15 + [8], limit=16)


def test_an_answer_of_one_token_is_not_endless():
    assert not repeats_endlessly([7], limit=1)


def test_answers_with_the_same_first_line_count_once():
    assert distinct_first_lines(["Return the sum.\nMore.", "  Return the sum.", "Return the sum. ", "def f():"]) == 0.5


def test_empty_answers_are_one_answer():
    assert distinct_first_lines(["", "\n", "a", "b"]) == 0.75

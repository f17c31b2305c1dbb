"""What every worker pool promises: a suite that the tests of each implementation inherit."""

from collections.abc import Iterator

import pytest

from components.errors import SourceError
from components.ports import WorkerPool


def count_up(to: int) -> Iterator[int]:
    """Work with several results, or with a refusal after the first."""
    for number in range(abs(to)):
        yield number
        if to < 0:
            raise SourceError(f"{to} is below 0")


class WorkerPoolSuite:
    """Inherit it and give a fixture `pool`."""

    def test_every_result_comes_with_the_number_of_its_spec_and_in_its_own_order(self, pool: WorkerPool) -> None:
        results = list(pool.stream(count_up, [3, 0, 1, 2]))
        assert sorted(results) == [(0, 0), (0, 1), (0, 2), (2, 0), (3, 0), (3, 1)]
        for spec in (0, 3):
            mine = [value for number, value in results if number == spec]
            assert mine == sorted(mine)

    def test_no_specs_give_no_results(self, pool: WorkerPool) -> None:
        assert list(pool.stream(count_up, [])) == []

    def test_an_error_of_ours_is_raised_as_it_is_after_what_was_there_before(self, pool: WorkerPool) -> None:
        results = pool.stream(count_up, [-2])
        assert next(results) == (0, 0)
        with pytest.raises(SourceError, match=r"^-2 is below 0$"):
            next(results)

    def test_it_can_be_used_again(self, pool: WorkerPool) -> None:
        assert [list(pool.stream(count_up, [1])) for _ in range(2)] == [[(0, 0)], [(0, 0)]]

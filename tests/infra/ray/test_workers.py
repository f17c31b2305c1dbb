"""Groups of workers: which one serves a launch, and how reports arrive. With a real Ray: `test_train.py`."""

from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from infra.ray import workers
from infra.ray.mailbox import Report, WorkerRank
from infra.ray.workers import GroupConfig, group_for, release

CONFIG = GroupConfig(workers=2, min_workers=2, threads=1, gpu=False, storage_path=Path("/storage"), max_failures=8)


@dataclass
class Group:
    """Stands for a group whose trainer would be started."""

    config: GroupConfig
    is_fresh: bool = True
    dismissed: int = 0

    def dismiss(self) -> None:
        self.dismissed += 1


@pytest.fixture(autouse=True)
def groups(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """No group is there, and new ones start nothing."""
    monkeypatch.setattr(workers, "WorkerGroup", Group)
    monkeypatch.setattr(workers, "_groups", [])
    return workers._groups


def test_a_group_of_the_same_kind_stays_and_another_replaces_it() -> None:
    first: Any = group_for(CONFIG)
    assert group_for(CONFIG) is first
    other: Any = group_for(GroupConfig(**{**vars(CONFIG), "threads": 2}))
    assert other is not first
    assert (first.dismissed, other.dismissed) == (1, 0)


def test_a_group_that_lost_a_worker_is_replaced_by_one_of_the_same_kind() -> None:
    first: Any = group_for(CONFIG)
    first.is_fresh = False
    assert group_for(CONFIG) is not first
    assert first.dismissed == 1


def test_a_released_group_is_dismissed_once(groups: list[Any]) -> None:
    first: Any = group_for(CONFIG)
    release()
    release()
    assert (first.dismissed, groups) == (1, [])


@dataclass
class Post:
    """The mailbox as a worker sees it: what is posted arrives when the test says so."""

    posts: list[list[Report]] = field(default_factory=list)
    arrivals: list["Future[bool]"] = field(default_factory=list)

    @property
    def report(self) -> Any:
        return SimpleNamespace(remote=self._remote)

    def _remote(self, worker: WorkerRank, reports: list[Report]) -> Any:
        self.posts.append(reports)
        self.arrivals.append(Future())
        return SimpleNamespace(future=lambda: self.arrivals[-1])


def reporter(post: Post, rank: int = 0) -> workers._MailReporter:
    return workers._MailReporter(WorkerRank("start", rank, 2), post)


def test_one_post_is_on_its_way_at_a_time_and_the_next_holds_what_was_reported_meanwhile() -> None:
    post = Post()
    rank_0 = reporter(post)
    for number in (1, 2, 3):
        rank_0.report(number, 9, {"loss": 1.0})
    assert [[step for step, _, _ in reports] for reports in post.posts] == [[1]]
    post.arrivals[0].set_result(False)
    rank_0.report(4, 9, {})
    assert [[step for step, _, _ in reports] for reports in post.posts] == [[1], [2, 3, 4]]


def test_flushing_waits_until_every_report_has_arrived() -> None:
    class Prompt(Post):
        def _remote(self, worker: WorkerRank, reports: list[Report]) -> Any:
            sent = super()._remote(worker, reports)
            self.arrivals[-1].set_result(False)
            return sent

    post = Prompt()
    rank_0 = reporter(post)
    rank_0._waiting.append((1, 9, {}))
    rank_0.flush()
    assert post.posts == [[(1, 9, {})]]
    assert rank_0._posted == rank_0._waiting == []


def test_figures_are_those_at_the_time_of_the_report_and_other_ranks_report_nothing() -> None:
    post, values = Post(), {"loss": 1.0}
    reporter(post).report(1, 9, values)
    values["loss"] = 2.0
    reporter(post, rank=1).report(1, 9, values)
    assert post.posts == [[(1, 9, {"loss": 1.0})]]
    assert (reporter(post, rank=1).rank, reporter(post).world_size) == (1, 2)

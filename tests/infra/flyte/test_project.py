"""Flyte's project of a profile: asked for, made where it is missing, and what happens where it may not be made."""

import pytest
from connectrpc.code import Code
from connectrpc.errors import ConnectError
from flyteidl2.project import project_service_pb2 as projects

from components.errors import EndpointError, LoginRefused
from infra.cluster.profiles import Profile
from infra.flyte import service
from infra.flyte.project import Project, ensure_project, find_project
from tests.fake_cluster.flyte_service import FakeFlyte

pytestmark = pytest.mark.long


def test_a_missing_project_is_made_once(site: Profile, flyte: FakeFlyte) -> None:
    flyte.projects.clear()
    assert find_project(site) is None
    assert [ensure_project(site), ensure_project(site)] == [True, False]
    assert find_project(site) == Project(domains=("development", "staging", "production"), archived=False)
    assert [request.project.id for request in flyte.requests("create_project")] == ["longrun"]


def test_a_project_that_somebody_else_makes_meanwhile_is_there(site: Profile, flyte: FakeFlyte) -> None:
    flyte.refusals["get_project"] = ConnectError(Code.NOT_FOUND, "project not found: longrun")
    assert ensure_project(site) is False


def test_an_archived_project_is_told_as_one(site: Profile, flyte: FakeFlyte) -> None:
    flyte.projects["longrun"] = projects.Project(id="longrun", state=projects.PROJECT_STATE_ARCHIVED)
    archived = find_project(site)
    assert archived is not None
    assert archived.archived


def test_who_may_not_make_it_is_told_whom_to_ask(site: Profile, flyte: FakeFlyte) -> None:
    flyte.projects.clear()
    flyte.refusals["create_project"] = ConnectError(Code.PERMISSION_DENIED, "admins only")
    with pytest.raises(LoginRefused, match="has no project longrun and does not let this user create it: admins only; ask"):
        ensure_project(site)


def test_who_may_not_even_ask_may_still_have_runs_in_it(site: Profile, flyte: FakeFlyte) -> None:
    flyte.refusals["get_project"] = ConnectError(Code.PERMISSION_DENIED, "admins only")
    assert ensure_project(site) is False
    assert flyte.requests("create_project") == []


def test_a_service_that_does_not_answer_is_no_missing_project(
    site: Profile, flyte: FakeFlyte, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "RPC_RETRIES", 0)
    flyte.refusals["get_project"] = ConnectError(Code.UNAVAILABLE, "restarting")
    with pytest.raises(EndpointError, match=r"no answer from Flyte at .*: restarting"):
        ensure_project(site)

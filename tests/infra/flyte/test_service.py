"""A profile's Flyte service: where its token goes, and what its silence and its refusals are called."""

import pytest

from components.errors import ClusterError, ConfigError, EndpointError
from infra.cluster.profiles import Profile
from infra.flyte import service
from infra.flyte.project import find_project
from infra.flyte.service import TOKEN, FlyteService
from tests.fake_cluster.flyte_service import FakeFlyte
from tests.infra.conftest import sample_profile

pytestmark = pytest.mark.long


def test_a_token_is_not_sent_where_all_could_read_it(flyte: FakeFlyte) -> None:
    with pytest.raises(ConfigError, match="http://"):
        find_project(sample_profile(endpoint=flyte.url, secrets={TOKEN: "environment:MY_FLYTE_TOKEN"}))
    assert flyte.asked == []


def test_a_service_that_is_silent_is_given_up(site: Profile, flyte: FakeFlyte, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "SECONDS", 0.2)
    flyte.silent.add("get_project")
    with pytest.raises(EndpointError, match=r"no answer from Flyte at .* within 0 s"):
        find_project(site)


def test_an_error_of_the_clients_is_one_of_ours_in_a_line(site: Profile) -> None:
    async def fail() -> None:
        raise ValueError("a\nb")

    with pytest.raises(ClusterError, match=r"Flyte at http://127.0.0.1:\d+: a b; examine the cluster with: longrun doctor"):
        FlyteService(site).ask(fail())

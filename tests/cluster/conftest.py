"""Fixtures of the trial on a real cluster: profile, values and report come from environment variables."""

import os
from pathlib import Path

import pytest

from infra.cluster.profiles import read_profile
from tests.cluster.report import Report
from tests.cluster.site import Site
from tests.cluster.steps import Trial

PROFILE = "CLUSTER_PROFILE"


def reason_to_skip() -> str:
    """Why the trial cannot run here; empty if it can."""
    from kubernetes import config

    if not os.environ.get(PROFILE):
        return "no cluster is named: make test-cluster PROFILE=NAME"
    try:
        config.list_kube_config_contexts(config_file=os.environ.get("KUBECONFIG"))
    except config.ConfigException as error:
        return f"no kubeconfig: {' '.join(str(error).split())}"
    return ""


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip tests of a real cluster, with the reason, if they cannot run."""
    if item.get_closest_marker("cluster") and (reason := reason_to_skip()):
        pytest.skip(reason)


@pytest.fixture(scope="session")
def trial() -> Trial:
    """The trial that `make test-cluster` names."""
    home = Path(os.environ.get("LONGRUN_HOME", ".longrun")).absolute()
    profile = read_profile(home, os.environ[PROFILE])
    site = Site(
        profile=profile,
        home=home,
        values=tuple(os.environ.get("CLUSTER_VALUES", "trial").split()),
        flyte_values=tuple(os.environ.get("CLUSTER_FLYTE_VALUES", "").split()),
        recipe=os.environ.get("CLUSTER_RECIPE", "tiny"),
    )
    report = Report(home / "cluster-trials" / f"{profile.name}.json")
    if os.environ.get("CLUSTER_AGAIN"):
        report.path.unlink(missing_ok=True)
    return Trial(site, report)

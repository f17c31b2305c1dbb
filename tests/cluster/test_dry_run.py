"""The trial's steps against a simulated site: requests to Kubernetes go over HTTP to an API server that refuses as a real one.

The same functions run on a real cluster in `test_trial.py`. What would be wrong there is made wrong here, and must be noticed.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.conftest import PROFILE, reason_to_skip
from tests.cluster.report import Report
from tests.cluster.simulation import Simulation
from tests.cluster.site import Answer, Site
from tests.cluster.steps import STEPS, Trial
from tests.fake_cluster.kubernetes_api import FakeCluster
from tests.infra.conftest import sample_profile


@dataclass
class Dry:
    """A trial of a simulated site, and that site."""

    trial: Trial
    site: Simulation
    api: FakeCluster

    def walk(self, last: str = "nothing_remains") -> Report:
        """Do the steps up to `last`."""
        for name, step in STEPS.items():
            self.trial.report.run(name, lambda step=step: step(self.trial))
            if name == last:
                break
        return self.trial.report


@pytest.fixture
def dry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Dry]:
    with FakeCluster(answers={}).serving() as api:
        api.write_kubeconfig(tmp_path / "kubeconfig", "token")
        monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
        simulated = Simulation(server=api.server)
        profile = replace(sample_profile(workers=1, gpus=(), size="trial"), name="site")
        site = Site(profile=profile, home=tmp_path, command=simulated.longrun, clock=lambda: simulated.now, pause=simulated.pause)
        yield Dry(Trial(site, Report(tmp_path / "report.json")), simulated, api)


def test_every_step_is_done_on_a_site_that_does_as_it_should(dry: Dry) -> None:
    report = dry.walk()
    facts = {name: report.facts(name) for name in STEPS}
    assert facts["first_run"]["model"] == "tiny/1"
    assert facts["second_run"]["cached"] == 4
    assert facts["lost_worker"]["content"].startswith("content of pretraining pretraining.tokens=2048000,pretraining.seed=")
    assert facts["nothing_remains"] == {"claims": ["longrun-checkpoints"]}
    assert len(report.lines()) == len(STEPS)


def test_nothing_is_changed_but_pods_of_the_namespace(dry: Dry) -> None:
    dry.walk()
    changing = [asked for asked in dry.api.asked if not asked.startswith("GET ")]
    assert len(changing) == 2
    assert all(asked.startswith("DELETE /api/v1/namespaces/longrun/pods/") for asked in changing)


def test_a_pod_of_somebody_else_is_never_deleted(dry: Dry) -> None:
    for labels, namespace in (({}, "longrun"), ({"flyte.org/run": "r1"}, "other")):
        with pytest.raises(AssertionError, match=r"is no pod of this trial|is in namespace other"):
            dry.trial.site.delete_pod({"metadata": {"name": "p", "namespace": namespace, "labels": labels}})
    assert dry.api.asked == []


def test_a_namespace_in_use_is_not_touched(dry: Dry) -> None:
    dry.site.longrun(["deploy", "--values", "trial"])
    with pytest.raises(AssertionError, match="namespace longrun is in use"):
        dry.walk("deploy")
    assert len(dry.site.commands) == 1


def test_a_trial_that_was_broken_off_continues_where_it_was(dry: Dry) -> None:
    dry.walk("first_run")
    again = Dry(Trial(dry.trial.site, Report(dry.trial.report.path)), dry.site, dry.api)
    again.walk("second_run")
    assert [words[:2] for words in dry.site.commands].count(["run", "tiny"]) == 2


def test_a_run_that_ended_while_the_trial_was_broken_off_is_replaced(dry: Dry) -> None:
    dry.walk("verified")
    run = dry.trial.submitted("operator", "--until", "pretraining")
    dry.trial.ended(run)
    dry.trial.report.run("second_run", lambda: {})
    dry.trial.report.run("lost_worker", lambda: {})
    dry.walk("restarted_operator")
    assert dry.trial.report.note("operator") != run


def test_where_the_head_works_alone_the_run_may_be_lost_and_the_next_has_its_bits(dry: Dry) -> None:
    dry.site.workers = 0
    alone = replace(dry.trial.site, profile=replace(dry.trial.site.profile, workers=0))
    report = Dry(Trial(alone, dry.trial.report), dry.site, dry.api).walk("lost_worker")
    assert "head" in report.facts("lost_worker")["pod"]


NOTICED: dict[str, tuple[str, str]] = {
    "priority": ("deploy", "pods without the class longrun-services"),
    "doctor": ("doctor", "flyte: answers"),
    "names": ("first_run", "steps without names"),
    "slow": ("budget", "more than 20 s before"),
    "reuse": ("second_run", "made again"),
    "bits": ("lost_worker", "undisturbed"),
    "cancel": ("cancelled", "waited 120 s for the end of"),
    "logs": ("kept_logs", "empty logs"),
    "removes": ("removed", "ended with 0"),
    "remains": ("nothing_remains", "configmaps/flyte-config"),
}


@pytest.mark.parametrize("wrong", NOTICED)
def test_what_is_wrong_on_a_site_is_noticed_by_the_step_that_asks(wrong: str, dry: Dry) -> None:
    step, message = NOTICED[wrong]
    dry.site.wrong = frozenset({wrong})
    before = list(STEPS)[list(STEPS).index(step) - 1] if step != "deploy" else ""
    if before:
        dry.walk(before)
    with pytest.raises(AssertionError, match=message):
        dry.walk(step)


def test_without_a_named_cluster_or_a_kubeconfig_the_trial_says_why_it_is_skipped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(PROFILE, raising=False)
    assert reason_to_skip().startswith("no cluster is named")
    monkeypatch.setenv(PROFILE, "site")
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "none"))
    assert reason_to_skip().startswith("no kubeconfig")


def test_a_command_that_the_command_line_does_not_know_is_found(dry: Dry) -> None:
    with pytest.raises(AssertionError, match="No such option"):
        dry.site.longrun(["status", "latest", "--everything"])


def test_a_failed_command_is_told_with_its_last_lines(dry: Dry) -> None:
    def failing(words: Any) -> Answer:
        return Answer(1, "", "first\nthe reason")

    with pytest.raises(AssertionError, match=r"longrun doctor .* ended with 1: first \| the reason"):
        replace(dry.trial.site, command=failing).on_site("doctor")

"""The steps of a trial on a cluster, in order: from `deploy` to an empty namespace.

Each is a function of the trial that returns facts for its report, and raises `AssertionError` where the cluster does not do
what it should. A run is submitted once and waited for, also by a later call.
"""

import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.cluster.events import digests, driver_events, idle_times
from tests.cluster.remains import here, remains
from tests.cluster.report import Facts, Report
from tests.cluster.site import OPERATOR, RUN_LABEL, Json, Site
from workflows.steps.stages import STAGES

MAX_IDLE_SECONDS = 20.0
"""Longest allowed time between the end of a step and the start of the next one's work, at size `trial`."""

ENDS = frozenset({"succeeded", "recovered", "failed", "aborted", "timed_out"})
"""Final phases of a run."""

RUN_SECONDS = 3600.0
POD_SECONDS = 900.0
"""Timeout for a pod to start, which includes pulling its image."""

GONE_SECONDS = 120.0
"""Timeout for the resources of a finished or cancelled run to be freed."""

TRAINING_SECONDS = 25.0
"""Training time before a pod is deleted, long enough for a checkpoint."""

LONGER = ("--until", "pretraining", "--set", "pretraining.tokens=2048000")
"""A training that lasts long enough to be disturbed: ten times that of `tiny`, with a checkpoint every 50 steps."""

AGAIN = ("--fresh", "pretraining")


@dataclass(frozen=True)
class Trial:
    """A site and the report of the trial there."""

    site: Site
    report: Report

    def submitted(self, name: str, *words: str) -> str:
        """Id of this trial's run `name`, which is submitted if it has not been yet."""

        def submit() -> str:
            text = self.site.on_site("run", self.site.recipe, "--on", "cluster", *words).text
            match = re.search(r"^run (\S+): ", text, re.MULTILINE)
            assert match, f"no id of a run in: {text}"
            return match[1]

        return self.report.noted(name, submit)

    def phase(self, run: str) -> str:
        """The state of a run, from `longrun status`."""
        return str(self.site.on_site("status", run, "--json").json["phase"])

    def ended(self, run: str, phase: str = "succeeded") -> None:
        """Wait until a run has ended. Raises `AssertionError` if it did not end as expected."""
        last = self.site.wait(lambda: (now := self.phase(run)) in ENDS and now, RUN_SECONDS, f"the end of run {run}")
        lines = self.site.on_site("status", run).text if last != phase else ""
        assert last == phase, f"run {run} {last}: {lines}"

    def in_training(self, name: str, *words: str) -> tuple[str, Json]:
        """A run that is training now, and a pod of its training: a worker's, or the head's if there are no workers.

        One that ended before it was met, because the trial was broken off meanwhile, is replaced by another.
        """
        run = self.submitted(name, *LONGER, *(words or AGAIN))
        if self.phase(run) in ENDS:
            self.report.forget(name)
            run = self.submitted(name, *LONGER, *words, *AGAIN)
        return run, self._training_pod(run)

    def _training_pod(self, run: str) -> Json:
        def ready() -> Json | None:
            assert self.phase(run) not in ENDS, f"run {run} {self.phase(run)} before its training was met"
            pods = [pod for pod in self.site.pods(run) if _label(pod, "app.kubernetes.io/component") == "train" and _ready(pod)]
            workers = [pod for pod in pods if _label(pod, "ray.io/node-type") == "worker"]
            heads = [pod for pod in pods if _label(pod, "ray.io/node-type") == "head"]
            return next(iter(workers if self.site.profile.workers else heads), None)

        pod: Json = self.site.wait(ready, POD_SECONDS, f"a pod of the training of run {run}")
        self.site.wait(lambda: "RUNNING" in self._job_states(run), POD_SECONDS, f"the training of run {run}")
        return pod

    def _job_states(self, run: str) -> list[str]:
        jobs = self.site.objects("ray.io/v1/rayjobs", {RUN_LABEL: f"r{run}"})
        return [str(job.get("status", {}).get("jobStatus", "")) for job in jobs]

    def driver(self, run: str) -> list[Json]:
        """Events that a run's driver has printed."""
        return driver_events(self.site, run)


def require_own_namespace(trial: Trial) -> None:
    """Raise `AssertionError` if the namespace contains an installation by others: the trial's last step would remove it."""
    if trial.report.note("installed"):
        return
    here = [namespace["metadata"]["name"] for namespace in trial.site.everywhere("v1/namespaces")]
    namespace = trial.site.profile.namespace
    foreign = [obj["metadata"]["name"] for obj in trial.site.objects("apps/v1/deployments")] if namespace in here else []
    assert not foreign, (
        f"namespace {namespace} is in use ({', '.join(foreign)}): give the trial a profile with a namespace of its own"
    )


def deploy(trial: Trial) -> Facts:
    """Install everything in an empty namespace; `deploy` examines the cluster at its end."""
    require_own_namespace(trial)
    trial.report.noted("before", lambda: json.dumps(here(trial.site)))
    trial.report.noted("installed", lambda: trial.site.profile.namespace)
    _deploy(trial)
    services = f"{trial.site.profile.release}-services"
    pods = [pod for pod in trial.site.objects("v1/pods") if _owners(pod) & {"ReplicaSet", "StatefulSet"}]
    classes = {pod["metadata"]["name"]: pod["spec"].get("priorityClassName", "") for pod in pods}
    assert classes, "no service has a pod"
    # the console's chart has no key for a class; no run needs it
    low = sorted(name for name, given in classes.items() if given != services and "console" not in name)
    assert not low, f"pods without the class {services}: {low}"
    return {"pods": len(classes)}


def doctor(trial: Trial) -> Facts:
    """No check of `longrun doctor --cluster` fails."""
    findings = trial.site.on_site("doctor", "--cluster", "--recipe", trial.site.recipe, "--json").json
    failed = [f"{finding['what']}: {finding['found']}" for finding in findings if finding["state"] == "failed"]
    assert not failed, "; ".join(failed)
    return {"findings": len(findings)}


def first_run(trial: Trial) -> Facts:
    """Run the recipe from text to a registered model; its steps have names, and little time passes between them."""
    # the store may hold what an earlier trial has made
    run = trial.submitted("first", *(word for stage in STAGES for word in ("--fresh", stage)))
    trial.ended(run)
    steps = [step["task"] for step in trial.site.on_site("status", run, "--json").json["steps"]]
    assert {"curation", "tokenizer", "pretraining", "registration"} <= set(steps), f"steps without names: {steps}"
    contents = digests(trial.site, run, "registration")
    models = [model for model in trial.site.on_site("models", "--json").json if model["content"] in contents]
    assert models, f"no model of run {run} is registered"
    idle = idle_times(trial.site, run, steps)
    return {"run": run, "model": models[-1]["model"], "content": models[-1]["content"], "idle": idle}


def budget(trial: Trial) -> Facts:
    """At size `trial`, the time between two steps is within the limit; at other sizes it is only reported."""
    idle: dict[str, float] = _facts(trial, "first_run")["idle"]
    assert idle, "no step says when it started"
    slow = {step: seconds for step, seconds in idle.items() if seconds > MAX_IDLE_SECONDS}
    assert not slow or trial.site.profile.size != "trial", f"more than {MAX_IDLE_SECONDS:.0f} s before: {slow}"
    return {"longest": max(idle.values()), "mean": round(sum(idle.values()) / len(idle), 1)}


def verified(trial: Trial) -> Facts:
    """`verify` from outside the cluster hashes everything that the model was made from."""
    model = _facts(trial, "first_run")["model"]
    answer = trial.site.on_site("verify", model, "--json")
    lineage = trial.site.on_site("lineage", model, "--json").json
    assert lineage["artifacts"], f"model {model} has no lineage"
    return {"artifacts": len(lineage["artifacts"]), "verified": answer.code == 0}


def second_run(trial: Trial) -> Facts:
    """A second run of the same recipe reuses every step."""
    run = trial.submitted("second")
    trial.ended(run)
    steps = [step["task"] for step in trial.site.on_site("status", run, "--json").json["steps"]]
    cached = [event["step"] for event in trial.driver(run) if event["event"] == "cached"]
    assert len(steps) == 1, f"made again: {steps[1:]}"
    assert {"curation", "pretraining", "registration"} <= set(cached), f"reused: {cached}"
    return {"run": run, "cached": len(cached)}


def lost_worker(trial: Trial) -> Facts:
    """A training whose pod is deleted gives bitwise the same result as an undisturbed training.

    A Ray cluster of one pod is lost with it. Then the run may fail, and the next one continues from the checkpoints.
    """
    # a seed of this trial's own: what is continued must not be in the store already
    seed = ("--set", f"pretraining.seed={trial.report.noted('seed', lambda: str(int(time.time()) % 1_000_000))}")
    name = trial.report.note("deleted") or _disturb(trial, *seed)
    run = trial.report.note("disturbed")
    last = trial.site.wait(lambda: (now := trial.phase(run)) in ENDS and now, RUN_SECONDS, f"the end of run {run}")
    if last == "failed":
        assert not trial.site.profile.workers, f"run {run} failed after the loss of {name}"
        run = trial.submitted("resumed", *LONGER, *seed)
        trial.ended(run)
        made = [step["task"] for step in trial.site.on_site("status", run, "--json").json["steps"]]
        assert "pretraining" in made, f"run {run} has continued nothing: it reused the training of another run"
    plain = trial.submitted("undisturbed", *LONGER, *seed, *AGAIN)
    trial.ended(plain)
    before, after = (digests(trial.site, which, "pretraining") for which in (plain, run))
    assert before & after, f"undisturbed {sorted(before)}, disturbed {sorted(after)}"
    return {"pod": name, "content": sorted(before & after)[0]}


def restarted_operator(trial: Trial) -> Facts:
    """A training survives a restart of KubeRay's operator."""

    def restart() -> str:
        trial.in_training("operator")
        (pod, *_) = trial.site.objects("v1/pods", OPERATOR)
        trial.site.delete_pod(pod)
        return str(pod["metadata"]["name"])

    name = trial.report.noted("operator deleted", restart)
    run = trial.report.note("operator")

    def replaced() -> bool:
        pods = trial.site.objects("v1/pods", OPERATOR)
        return any(pod["metadata"]["name"] != name and _ready(pod) for pod in pods)

    trial.site.wait(replaced, POD_SECONDS, "a new pod of the operator")
    trial.ended(run)
    return {"run": run, "pod": name}


def cancelled(trial: Trial) -> Facts:
    """A cancelled run frees all its resources."""

    def cancel() -> str:
        run, _ = trial.in_training("cancelled")
        return trial.site.on_site("cancel", run).text

    trial.report.noted("cancel", cancel)
    run = trial.report.note("cancelled")
    trial.ended(run, "aborted")
    _until_free(trial, run)
    return {"run": run}


def kept_logs(trial: Trial) -> Facts:
    """The logs of steps and workers can be read after their pods are gone."""
    run = _facts(trial, "first_run")["run"]
    _until_free(trial, run)
    lines = {step: len(trial.site.on_site("logs", run, step).text.splitlines()) for step in ("curation", "pretraining")}
    lines["worker"] = len(trial.site.on_site("logs", run, "pretraining", "--worker", "0").text.splitlines())
    assert all(lines.values()), f"empty logs: {lines}"
    return lines


def upgraded(trial: Trial) -> Facts:
    """Everything can be upgraded during a run."""

    def upgrade() -> str:
        run, _ = trial.in_training("upgraded")
        _deploy(trial)
        return run

    run = trial.report.noted("upgrade", upgrade)
    trial.ended(run)
    return {"run": run}


def removed(trial: Trial) -> Facts:
    """`deploy --remove` refuses during a run, and removes everything afterwards."""

    def refuse() -> str:
        run, _ = trial.in_training("in the way")
        refused = trial.site.on_site("deploy", "--remove", fails=True)
        assert run in refused.text + refused.error, f"the refusal does not name run {run}: {refused.text}{refused.error}"
        trial.site.on_site("cancel", run)
        trial.ended(run, "aborted")
        _until_free(trial, run)
        return run

    run = trial.report.noted("refused", refuse)
    trial.report.noted("removed", lambda: trial.site.on_site("deploy", "--remove").text)
    return {"run": run}


def nothing_remains(trial: Trial) -> Facts:
    """Only the objects that the pages say are kept still exist, in the namespace and in the cluster."""
    before = json.loads(trial.report.note("before"))
    trial.site.wait(lambda: not remains(trial.site, before), GONE_SECONDS, f"the end of {remains(trial.site, before)[:10]}")
    claims = [claim["metadata"]["name"] for claim in trial.site.objects("v1/persistentvolumeclaims")]
    assert claims, "the volumes are gone"
    return {"claims": claims}


STEPS: dict[str, Callable[[Trial], Facts]] = {
    step.__name__: step
    for step in (
        deploy,
        doctor,
        first_run,
        budget,
        verified,
        second_run,
        lost_worker,
        restarted_operator,
        cancelled,
        kept_logs,
        upgraded,
        removed,
        nothing_remains,
    )
}
"""The steps in order; each may need the previous ones."""


def _deploy(trial: Trial) -> None:
    site = trial.site
    files = [word for path in site.values for word in ("--values", path)]
    files += [word for path in site.flyte_values for word in ("--flyte-values", path)]
    site.on_site("deploy", *files, "--recipe", site.recipe)


def _disturb(trial: Trial, *seed: str) -> str:
    run, pod = trial.in_training("disturbed", *seed)
    met = trial.site.clock()
    trial.site.wait(lambda: trial.site.clock() - met >= TRAINING_SECONDS, POD_SECONDS, f"some training of run {run}")
    trial.site.delete_pod(pod)
    return trial.report.noted("deleted", lambda: str(pod["metadata"]["name"]))


def _until_free(trial: Trial, run: str) -> None:
    jobs = {RUN_LABEL: f"r{run}"}
    trial.site.wait(lambda: not trial.site.pods(run), GONE_SECONDS, f"the end of the pods of run {run}")

    def no_jobs() -> bool:
        states = [job.get("status", {}).get("jobDeploymentStatus") for job in trial.site.objects("ray.io/v1/rayjobs", jobs)]
        return all(state in {"Complete", "Failed"} for state in states)

    trial.site.wait(no_jobs, GONE_SECONDS, f"the end of the Ray jobs of run {run}")


def _facts(trial: Trial, step: str) -> Facts:
    facts = trial.report.facts(step)
    assert facts is not None, f"{step} has to be done first"
    return facts


def _owners(pod: Json) -> set[str]:
    return {owner["kind"] for owner in pod["metadata"].get("ownerReferences", [])}


def _label(pod: Json, name: str) -> Any:
    return pod["metadata"].get("labels", {}).get(name)


def _ready(pod: Json) -> bool:
    conditions = pod.get("status", {}).get("conditions", [])
    return any(condition["type"] == "Ready" and condition["status"] == "True" for condition in conditions)

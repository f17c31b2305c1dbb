"""Simulates a whole site in memory: longrun's commands on a simulated cluster, with its own clock.

Every command line is read by the real command line interface, so that an option that does not exist is noticed. What the commands
do is simulated: releases put pods and rights there, runs start Ray jobs by Flyte's rules, artifacts are words.
"""

import functools
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import typer

from infra.flyte.runs import RunState, Step
from tests.cluster.simulated_operator import LABELS, Operator
from tests.cluster.site import Answer
from tests.fake_cluster.api_server import ApiServer
from tests.fake_cluster.flyte_pods import Execution, labels_of
from tests.fake_cluster.ray_plugin import ray_job
from tests.fake_cluster.sample_tasks import container, spec, task
from workflows.cli.main import app
from workflows.commands.cluster.runs import as_json

Json = dict[str, Any]

CHAIN = ("curation", "tokenizer", "pretraining", "registration")
ON_RAY = {"curation": "data", "pretraining": "train"}
TURN_SECONDS = 3.0

_UsageError = typer.BadParameter.__bases__[0]


@dataclass
class SimulatedRun:
    """A run with the steps that it makes."""

    name: str
    waiting: list[str]
    cached: list[str]
    phase: str = "running"
    contents: dict[str, str] = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=dict)
    times: dict[str, list[float]] = field(default_factory=dict)
    """Step -> time of its start and, if it has ended, of its end."""


@dataclass
class Simulation:
    """The simulated site. `wrong` names its fault; tests check that the trial notices each fault."""

    workers: int = 1
    wrong: frozenset[str] = frozenset()
    server: ApiServer = field(default_factory=ApiServer)
    now: float = 0.0
    runs: dict[str, SimulatedRun] = field(default_factory=dict)
    store: set[str] = field(default_factory=set)
    """Steps, with their settings, whose artifacts exist."""
    commands: list[list[str]] = field(default_factory=list)

    @cached_property
    def operator(self) -> Operator:
        return Operator(self.server)

    def pause(self) -> None:
        """Advance the simulation by one turn."""
        self.now += TURN_SECONDS
        self._replace_operator()
        self.operator.turn()
        for run in self.runs.values():
            if run.phase == "running":
                self._go_on(run)

    def longrun(self, words: Sequence[str]) -> Answer:
        """Run a command. Raises `AssertionError` if the real command line does not know it."""
        self.commands.append(list(words))
        name, values = parsed(words)
        if name != "deploy":
            assert self.server.of("deployments"), f"longrun {name}: nothing is installed"
        answer: Answer = getattr(self, f"_{name}")(values)
        return answer

    def _deploy(self, values: Json) -> Answer:
        active = [run.name for run in self.runs.values() if run.phase == "running"]
        if not values.get("remove"):
            return self._installed()
        if active and "removes" not in self.wrong:
            return Answer(1, "", f"run {active[0]} goes on; wait for it, or stop it: longrun cancel {active[0]}")
        kept = {"persistentvolumeclaims", "secrets", "namespaces"} | ({"configmaps"} if "remains" in self.wrong else set())
        self.server.objects = {key: obj for key, obj in self.server.objects.items() if key[0] in kept}
        return Answer(0, "removed")

    def _installed(self) -> Answer:
        labels = {"pod-security.kubernetes.io/enforce": "restricted"}
        marks = {"meta.helm.sh/release-name": "longrun", "meta.helm.sh/release-namespace": "longrun"}
        named = {"namespace": "longrun", "annotations": marks}
        self.server.add({"kind": "Namespace", "metadata": {"name": "longrun", "labels": labels}})
        for name in ("longrun-services", "longrun-training", "longrun-evaluation"):
            self.server.add({"kind": "PriorityClass", "metadata": {"name": name, "annotations": marks}})
        self.server.add({"kind": "ServiceAccount", "metadata": {"name": "longrun-tasks", **named}})
        self.server.add({"kind": "Secret", "metadata": {"name": "longrun-mlflow", "namespace": "longrun"}})
        self.server.add({"kind": "PersistentVolumeClaim", "metadata": {"name": "longrun-checkpoints", "namespace": "longrun"}})
        self.server.add({"kind": "ConfigMap", "metadata": {"name": "flyte-config", **named}})
        for name in ("kuberay-operator", "flyte", "longrun-mlflow"):
            self.server.add({"kind": "Deployment", "metadata": {"name": name, **named}})
            if ("pods", "longrun", f"{name}-0") not in self.server.objects:
                self._service(f"{name}-0", LABELS if name == "kuberay-operator" else {})
        return Answer(0, "deployed")

    def _service(self, name: str, labels: Json) -> None:
        priority = {} if "priority" in self.wrong else {"priorityClassName": "longrun-services"}
        ready = [{"type": "Ready", "status": "True"}]
        status = {"phase": "Running", "conditions": ready}
        owner = {"kind": "ReplicaSet", "name": name}
        metadata = {"name": name, "namespace": "longrun", "labels": labels, "ownerReferences": [owner]}
        self.server.add({"kind": "Pod", "metadata": metadata, "spec": spec(container("c"), **priority), "status": status})

    def _replace_operator(self) -> None:
        pods = [pod for pod in self.server.of("pods") if LABELS.items() <= pod["metadata"].get("labels", {}).items()]
        if not pods and ("deployments", "longrun", "kuberay-operator") in self.server.objects:
            self._service(f"kuberay-operator-{self.server.number}", LABELS)

    def _doctor(self, values: Json) -> Answer:
        state = "failed" if "doctor" in self.wrong else "good"
        return Answer(0, json.dumps([{"state": state, "what": "flyte", "found": "answers", "remedy": ""}]))

    def _run(self, values: Json) -> Answer:
        name = f"20260102-030405-{len(self.runs):04x}"
        until = CHAIN.index(values["until"] or CHAIN[-1]) + 1
        settings = ",".join(values["overrides"] or [])
        keys = {step: f"{step} {settings}" for step in CHAIN[:until]}
        fresh = set(values["fresh"] or [])
        made = [step for step in keys if step in fresh or keys[step] not in self.store or "reuse" in self.wrong]
        self.runs[name] = SimulatedRun(name, made, [step for step in keys if step not in made])
        self.runs[name].keys = keys
        for step in keys:
            disturbed = step in made and "bits" in self.wrong
            self.runs[name].contents[step] = f"content of {keys[step]}{name if disturbed else ''}"
        return Answer(0, f"run {name}: http://flyte/{name}\n")

    def _go_on(self, run: SimulatedRun) -> None:
        if not run.waiting:
            run.phase = "succeeded"
            return
        step = run.waiting[0]
        started = run.times.setdefault(step, [self.now + (30.0 if "slow" in self.wrong else 0.0)])
        if step in ON_RAY:
            self._on_ray(run, step)
        elif self.now - started[0] > 2 * TURN_SECONDS:
            self._ended(run, step)

    def _on_ray(self, run: SimulatedRun, step: str) -> None:
        execution = Execution(run=f"r{run.name}", action=f"{step}0000000")
        name = execution.bounded_name(47)
        job = self.server.objects.get(("rayjobs", "longrun", name))
        if job is None:
            self.operator.turns_needed[name] = 20
            self.server.create(self._job(execution, step))
        elif job.get("status", {}).get("jobDeploymentStatus") == "Complete":
            self._ended(run, step)
        elif job.get("status", {}).get("jobDeploymentStatus") in {"Failed", "ValidationFailed"}:
            run.phase = "failed"

    def _job(self, execution: Execution, step: str) -> Json:
        pods = task(container("primary"), {}, workers=self.workers, priorityClassName="longrun-training")
        job = ray_job(pods, execution)
        for group in (job["spec"]["rayClusterSpec"]["headGroupSpec"], *job["spec"]["rayClusterSpec"]["workerGroupSpecs"]):
            group["template"]["metadata"]["labels"] |= {"app.kubernetes.io/component": ON_RAY[step]} | labels_of(execution)
        return job

    def _ended(self, run: SimulatedRun, step: str) -> None:
        run.waiting.remove(step)
        self.store.add(run.keys[step])
        run.times[step].append(self.now)

    def _status(self, values: Json) -> Answer:
        run = self.runs[values["run"]]
        steps = [Step(action="a0", task="run_on_cluster", phase=run.phase, seconds=0)]
        for step, times in run.times.items():
            phase = "succeeded" if len(times) == 2 else run.phase
            name = "47g46j4hcx8zqx6ke0w1x7v3b" if "names" in self.wrong else step
            steps.append(Step(action=step, task=name, phase=phase, seconds=0))
        state = RunState(run=f"r{run.name}", url="http://flyte", phase=run.phase, steps=tuple(steps))
        return Answer(0, json.dumps(as_json(state)) if values["as_json"] else f"run {run.name} {run.phase}")

    def _cancel(self, values: Json) -> Answer:
        run = self.runs[values["run"]]
        run.phase = "aborted"
        for job in [other for other in self.server.of("rayjobs") if other["metadata"]["labels"]["run"] == f"r{run.name}"]:
            if "cancel" in self.wrong:
                self.operator.turns_needed[job["metadata"]["name"]] = 1000
            else:
                self.server.handle("DELETE", f"/apis/ray.io/v1/namespaces/longrun/rayjobs/{job['metadata']['name']}")
        return Answer(0, "cancelling run")

    def _logs(self, values: Json) -> Answer:
        run, step = self.runs[values["run"]], values["step"] or ""
        if not step:
            events = [{"event": "cached", "step": name, "content": run.contents[name]} for name in run.cached]
        else:
            start, *end = run.times[step]
            events = [{"event": "started", "time": start, "step": step}]
            events += [{"event": "made", "time": time, "step": step, "content": run.contents[step]} for time in end]
        if values["everything"]:
            lines = ["(pid=1) 2026-11-30 noise", *(f"(pid=1) {json.dumps(event)}" for event in events)]
        else:
            lines = [] if "logs" in self.wrong else [f"{event['event']} {event['step']}" for event in events]
        return Answer(0, json.dumps(lines) if values["as_json"] else "\n".join(lines))

    def _models(self, values: Json) -> Answer:
        contents = {run.contents.get("registration") for run in self.runs.values() if run.phase == "succeeded"} - {None}
        return Answer(0, json.dumps([{"model": f"tiny/{number}", "content": known} for number, known in enumerate(contents, 1)]))

    def _lineage(self, values: Json) -> Answer:
        return Answer(0, json.dumps({"model": values["model"], "artifacts": {"d": {"step": "registration"}}}))

    def _verify(self, values: Json) -> Answer:
        return Answer(0, json.dumps({"differences": {}}))


@functools.cache
def _commands() -> Any:
    group: Any = typer.main.get_command(app)
    return group.commands


def parsed(words: Sequence[str]) -> tuple[str, Json]:
    """The command and its options, parsed by the real command line. Raises `AssertionError` if it rejects them."""
    name, *rest = words
    try:
        with _commands()[name].make_context(name, rest) as context:
            return name, dict(context.params)
    except (KeyError, _UsageError) as error:
        raise AssertionError(f"longrun {' '.join(words)}: {getattr(error, 'message', 'no such command')}") from error

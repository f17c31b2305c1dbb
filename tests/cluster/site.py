"""Runs longrun's commands on a cluster for a trial, and sends requests to the Kubernetes API of the profile's namespace.

Nothing outside that namespace is changed. Of single objects only pods are deleted, those of a run or of KubeRay's operator;
everything else is longrun's own doing.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from infra.cluster.profiles import Profile
from tests.paths import ROOT

Json = dict[str, Any]

COMMAND_SECONDS = 3600.0
"""Timeout of one command: `deploy` waits up to ten minutes for each of three releases."""

SECONDS = 30.0
"""Timeout of one request to the Kubernetes API."""

OPERATOR = {"app.kubernetes.io/name": "kuberay-operator"}
"""Labels of KubeRay's operator: helm-chart/kuberay-operator/templates/_helpers.tpl at v1.7.0."""

RUN_LABEL = "flyte.org/run"
"""Label of a run's pods: actions/k8s/client.go of flyteorg/flyte at v2.0.43."""


@dataclass(frozen=True)
class Answer:
    """How a command ended, and what it printed."""

    code: int
    text: str
    error: str = ""

    @property
    def json(self) -> Any:
        """The output as JSON."""
        return json.loads(self.text)


Command = Callable[[Sequence[str]], Answer]


def longrun(words: Sequence[str]) -> Answer:
    """Runs the command line in a separate process."""
    command = [sys.executable, "-m", "workflows.cli", *words]
    done = subprocess.run(
        command, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=COMMAND_SECONDS
    )
    return Answer(done.returncode, done.stdout, done.stderr)


@dataclass(frozen=True)
class Site:
    """One cluster with its profile."""

    profile: Profile
    home: Path
    values: tuple[str, ...] = ("trial",)
    """Values files of the chart longrun, or shapes."""
    flyte_values: tuple[str, ...] = ()
    recipe: str = "tiny"
    command: Command = longrun
    clock: Callable[[], float] = time.monotonic
    pause: Callable[[], None] = field(default=lambda: time.sleep(3.0))

    def longrun(self, *words: str, fails: bool = False) -> Answer:
        """Run a command and return its output. Raises `AssertionError` with its last line if its exit code is not the expected
        one."""
        answer = self.command([*words, "--home", str(self.home)])
        printed = [*answer.text.splitlines(), *answer.error.splitlines()]
        assert (answer.code != 0) == fails, f"longrun {' '.join(words)} ended with {answer.code}: {' | '.join(printed[-5:])}"
        return answer

    def on_site(self, *words: str, fails: bool = False) -> Answer:
        """Run a command with `--profile`."""
        return self.longrun(*words, "--profile", self.profile.name, fails=fails)

    def wait(self, until: Callable[[], Any], seconds: float, what: str) -> Any:
        """The first true answer of `until`. Raises `AssertionError` after `seconds` of waiting for `what`."""
        deadline = self.clock() + seconds
        while not (answer := until()):
            assert self.clock() < deadline, f"waited {seconds:.0f} s for {what}"
            self.pause()
        return answer

    def objects(self, kind: str, labels: dict[str, str] | None = None) -> list[Json]:
        """Objects of the namespace, such as those of `v1/pods`; empty if the API has no such kind."""
        selector = ",".join(f"{name}={value}" for name, value in (labels or {}).items())
        return self._list(self._path(kind, self.profile.namespace), selector)

    def everywhere(self, kind: str) -> list[Json]:
        """Objects of a cluster-wide kind, which are only read."""
        return self._list(self._path(kind), "")

    def pods(self, run: str) -> list[Json]:
        """Pods of a run that have not ended."""
        labels = {RUN_LABEL: f"r{run}"}
        return [
            pod for pod in self.objects("v1/pods", labels) if pod.get("status", {}).get("phase") not in {"Succeeded", "Failed"}
        ]

    def delete_pod(self, pod: Json) -> None:
        """Delete a pod of a run or of the operator. Raises `AssertionError` for any other pod."""
        metadata = pod["metadata"]
        labels = metadata.get("labels", {})
        assert labels.get(RUN_LABEL) or OPERATOR.items() <= labels.items(), f"{metadata['name']} is no pod of this trial"
        assert metadata["namespace"] == self.profile.namespace, f"{metadata['name']} is in namespace {metadata['namespace']}"
        self._ask("DELETE", f"{self._path('v1/pods', self.profile.namespace)}/{metadata['name']}")

    def _path(self, kind: str, namespace: str = "") -> str:
        version, _, plural = kind.rpartition("/")
        where = f"namespaces/{namespace}/" if namespace else ""
        return f"/{'apis' if '/' in version else 'api'}/{version}/{where}{plural}"

    def _list(self, path: str, selector: str) -> list[Json]:
        from kubernetes.client import ApiException

        try:
            answer = self._ask("GET", path, [("labelSelector", selector)] if selector else [])
        except ApiException as error:
            if error.status == 404:
                return []
            raise
        items: list[Json] = answer["items"]
        return items

    def _ask(self, method: str, path: str, query: Sequence[tuple[str, str]] = ()) -> Any:
        request = self._api.param_serialize(
            method,
            path,
            query_params=list(query),
            header_params={"Accept": "application/json"},
            auth_settings=["BearerToken"],
        )
        answer = self._api.call_api(*request, _request_timeout=SECONDS)
        answer.read()
        return self._api.response_deserialize(answer, {"2XX": "object"}).data

    @cached_property
    def _api(self) -> Any:
        from kubernetes import config

        return config.new_client_from_config(
            config_file=os.environ.get("KUBECONFIG"), context=self.profile.context or None, persist_config=False
        )

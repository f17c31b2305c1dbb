"""A fake Flyte service: the Connect interfaces of flyte's own stubs over real HTTP, and a store of code bundles.

It keeps what it is asked, runs nothing, and answers with the phases, logs and refusals that a test sets, and with the fields that
a real one fills (flyteorg/flyte v2.0.43: runs/service/run_service.go, project_service.go, utils.go, dataproxy/service): a listing
of actions has no task names, actions but the first have digests as names, an event of the cluster has a message alone, a run that
is stopped is aborted even if it had ended, and nothing is taken for a project that is not there.
"""

import asyncio
import hashlib
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import uvicorn
from connectrpc.code import Code
from connectrpc.errors import ConnectError
from flyteidl2.cluster import payload_pb2 as cluster_pb2
from flyteidl2.cluster.service_connect import ClusterServiceASGIApplication
from flyteidl2.common import identifier_pb2, phase_pb2, run_pb2
from flyteidl2.dataproxy import dataproxy_service_pb2 as data_pb2
from flyteidl2.dataproxy.dataproxy_service_connect import DataProxyServiceASGIApplication
from flyteidl2.logs.dataplane import payload_pb2 as logs_pb2
from flyteidl2.project import project_service_pb2 as projects_pb2
from flyteidl2.project.project_service_connect import ProjectServiceASGIApplication
from flyteidl2.task import task_definition_pb2
from flyteidl2.workflow import run_definition_pb2 as run_definition
from flyteidl2.workflow import run_service_pb2 as runs_pb2
from flyteidl2.workflow.run_service_connect import RunServiceASGIApplication
from google.protobuf import timestamp_pb2


@dataclass
class Action:
    """One action of a run, as defined by a test."""

    name: str
    """Name in the test. Flyte uses another name, except for the driver, `a0`."""
    task: str = "longrun-driver.run_on_cluster"
    phase: str = "RUNNING"
    error: str = ""
    """Flyte's error message for the newest attempt."""
    events: tuple[str, ...] = ()
    """Messages of events of its pod or Ray job; Flyte omits their reasons."""
    seconds: int = 0
    began: int = 0
    """Unix time at which it entered its phase."""
    earlier_errors: tuple[str, ...] = ()
    """Error messages of earlier attempts."""
    task_type: str = "python"
    """`ray` if it runs in a Ray cluster."""
    abort_reason: str = ""

    @property
    def digest(self) -> str:
        """Flyte's name of the action."""
        return self.name if self.name == "a0" else hashlib.sha256(self.name.encode()).hexdigest()[:25]


def pod_failure(code: int, printed: str = "", *, reason: str = "Error") -> str:
    """Flyte's message for a pod that failed with an exit code (flytek8s/pod_helper.go)."""
    return f"\r\n[r20260102-030405-abcd-a0-0] terminated with exit code ({code}). Reason [{reason}]. Message: \n{printed}."


def ray_failure(printed: str, code: int = 1) -> str:
    """Flyte's message for a Ray job that failed with an exit code (plugins/k8s/ray/ray.go; Ray's job_manager.py)."""
    ended = f"Job entrypoint command failed with exit code {code}, last available logs (truncated to 20,000 chars):\n{printed}"
    return f"Failed to run Ray job r20260102-030405-abcd-47g46j4hcx8zqx6ke0w1x7v3b-0 with error: [AppFailed] {ended}"


@dataclass
class FakeFlyte:
    """The responses of one Flyte service; `asked` contains every request, `bundles` the uploads."""

    actions: list[Action] = field(default_factory=lambda: [Action("a0")])
    logs: dict[str, list[str]] = field(default_factory=dict)
    refusals: dict[str, ConnectError] = field(default_factory=dict)
    """Name of a call -> the error that it returns."""
    silent: set[str] = field(default_factory=set)
    """Names of calls that are never answered."""
    script: list[list[Action]] = field(default_factory=list)
    """New values of `actions`, one for each time that they are listed."""
    asked: list[tuple[str, Any]] = field(default_factory=list)
    times: list[tuple[str, float]] = field(default_factory=list)
    """Time of each call, by the monotonic clock."""
    headers: list[dict[str, str]] = field(default_factory=list)
    bundles: dict[str, bytes] = field(default_factory=dict)
    put_status: int = 200
    runs: set[str] = field(default_factory=set)
    projects: dict[str, Any] = field(default_factory=lambda: {"longrun": projects_pb2.Project(id="longrun", name="longrun")})
    domains: tuple[str, ...] = ("development", "staging", "production")
    url: str = ""

    @contextmanager
    def serving(self, **options: Any) -> Iterator["FakeFlyte"]:
        """Serve in a thread until the block ends."""
        config = uvicorn.Config(
            self._answer, interface="asgi3", host="127.0.0.1", port=0, log_level="error", lifespan="off", **options
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        while not server.started:
            assert thread.is_alive(), "the fake Flyte service did not start"
        port = server.servers[0].sockets[0].getsockname()[1]
        self.url = f"{'https' if config.is_ssl else 'http'}://127.0.0.1:{port}"
        try:
            yield self
        finally:
            server.should_exit = server.force_exit = True
            thread.join()

    def requests(self, call: str) -> list[Any]:
        """The requests of all calls of that name."""
        return [request for name, request in self.asked if name == call]

    async def _answer(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["method"] == "PUT":
            await self._keep(scope, receive, send)
            return
        for application in self._applications:
            if scope["path"].startswith(application.path + "/"):
                self.headers.append({name.decode(): value.decode() for name, value in scope["headers"]})
                await application(scope, receive, send)
                return
        await _respond(send, 200 if scope["path"] == "/healthz" else 404)

    async def _keep(self, scope: Any, receive: Any, send: Any) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        self.bundles[Path(scope["path"]).name] = body
        await _respond(send, self.put_status)

    @property
    def _applications(self) -> tuple[Any, ...]:
        return (
            ClusterServiceASGIApplication(_Clusters(self)),
            DataProxyServiceASGIApplication(_Data(self)),
            ProjectServiceASGIApplication(_Projects(self)),
            RunServiceASGIApplication(_Runs(self)),
        )

    async def note(self, call: str, request: Any) -> None:
        """Store the request; reject it or never answer it, if the test asks for that."""
        self.asked.append((call, request))
        self.times.append((call, time.monotonic()))
        if call in self.silent:
            await asyncio.Event().wait()
        if call in self.refusals:
            raise self.refusals[call]

    def action(self, digest: str) -> Action:
        """The action with this name in Flyte."""
        matching = [action for action in self.actions if action.digest == digest]
        if not matching:
            raise ConnectError(Code.NOT_FOUND, "action not found: action not found")
        return matching[0]

    def require_project(self, name: str) -> None:
        """Reject a request for a project that does not exist."""
        if name not in self.projects:
            raise ConnectError(Code.NOT_FOUND, f'project "{name}" not found')


async def _respond(send: Any, status: int) -> None:
    await send({"type": "http.response.start", "status": status, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body", "body": b""})


@dataclass
class _Clusters:
    fake: FakeFlyte

    async def select_cluster(self, request: Any, _: Any) -> Any:
        await self.fake.note("select_cluster", request)
        return cluster_pb2.SelectClusterResponse()


@dataclass
class _Data:
    fake: FakeFlyte

    async def create_upload_location(self, request: Any, _: Any) -> Any:
        await self.fake.note("create_upload_location", request)
        self.fake.require_project(request.project)
        url = f"{self.fake.url}/bundles/{request.filename}?X-Amz-Signature=signed"
        return data_pb2.CreateUploadLocationResponse(signed_url=url, native_url=f"s3://bucket/{request.filename}")

    async def upload_inputs(self, request: Any, _: Any) -> Any:
        await self.fake.note("upload_inputs", request)
        self.fake.require_project(request.run_id.project or request.project_id.name)
        data = run_pb2.OffloadedInputData(uri="s3://bucket/inputs.pb", inputs_hash="hash")
        return data_pb2.UploadInputsResponse(offloaded_input_data=data)

    async def tail_logs(self, request: Any, _: Any) -> AsyncIterator[Any]:
        await self.fake.note("tail_logs", request)
        action = self.fake.action(request.action_id.name)
        if action.name not in self.fake.logs:
            pod = f"{request.action_id.run.name}-{action.digest}-{request.attempt - 1}"
            raise ConnectError(Code.NOT_FOUND, f"pod {pod} not found in namespace longrun")
        for line in self.fake.logs[action.name]:
            logs = data_pb2.TailLogsResponse.Logs(lines=[logs_pb2.LogLine(message=line)])
            yield data_pb2.TailLogsResponse(logs=[logs])

    create_download_link = get_action_data = None


@dataclass
class _Projects:
    fake: FakeFlyte

    async def get_project(self, request: Any, _: Any) -> Any:
        await self.fake.note("get_project", request)
        if request.id not in self.fake.projects:
            raise ConnectError(Code.NOT_FOUND, f"project not found: {request.id}")
        project = projects_pb2.Project()
        project.CopyFrom(self.fake.projects[request.id])
        project.domains.extend(projects_pb2.Domain(id=name, name=name.title()) for name in self.fake.domains)
        return projects_pb2.GetProjectResponse(project=project)

    async def create_project(self, request: Any, _: Any) -> Any:
        await self.fake.note("create_project", request)
        if request.project.id in self.fake.projects:
            raise ConnectError(Code.ALREADY_EXISTS, f"project already exists: {request.project.id}")
        self.fake.projects[request.project.id] = request.project
        return projects_pb2.CreateProjectResponse()

    update_project = list_projects = None


class _Runs:
    def __init__(self, fake: FakeFlyte) -> None:
        self.fake = fake

    def __getattr__(self, name: str) -> Any:
        async def refuse(*_: Any) -> Any:
            raise ConnectError(Code.UNIMPLEMENTED, f"{name} is not faked")

        return refuse

    async def create_run(self, request: Any, _: Any) -> Any:
        await self.fake.note("create_run", request)
        self.fake.require_project(request.run_id.project)
        self.fake.runs.add(request.run_id.name)
        return runs_pb2.CreateRunResponse(run=run_definition.Run(action=_action(request.run_id, self.fake.actions[0])))

    async def get_run_details(self, request: Any, _: Any) -> Any:
        await self.fake.note("get_run_details", request)
        self._require(request.run_id)
        root = _details(request.run_id, self.fake.actions[0])
        return runs_pb2.GetRunDetailsResponse(details=run_definition.RunDetails(action=root))

    async def get_action_details(self, request: Any, _: Any) -> Any:
        await self.fake.note("get_action_details", request)
        run = request.action_id.run
        return runs_pb2.GetActionDetailsResponse(details=_details(run, self.fake.action(request.action_id.name)))

    async def list_actions(self, request: Any, _: Any) -> Any:
        await self.fake.note("list_actions", request)
        self._require(request.run_id)
        if self.fake.script:
            self.fake.actions = self.fake.script.pop(0)
        return runs_pb2.ListActionsResponse(actions=[_listed(request.run_id, action) for action in self.fake.actions])

    async def abort_run(self, request: Any, _: Any) -> Any:
        await self.fake.note("abort_run", request)
        self._require(request.run_id)
        self.fake.actions[0].phase, self.fake.actions[0].abort_reason = "ABORTED", request.reason
        return runs_pb2.AbortRunResponse()

    def _require(self, run: Any) -> None:
        if run.name not in self.fake.runs:
            raise ConnectError(Code.NOT_FOUND, f"run not found: {run.project}/{run.domain}/{run.name}")


def _action(run: Any, action: Action) -> Any:
    details = _details(run, action)
    return run_definition.Action(id=details.id, metadata=details.metadata, status=details.status)


def _listed(run: Any, action: Action) -> Any:
    """An action in a listing, where only its parent remains of its metadata."""
    full = _action(run, action)
    return run_definition.Action(
        id=full.id, metadata=run_definition.ActionMetadata(parent=full.metadata.parent), status=full.status
    )


def _details(run: Any, action: Action) -> Any:
    identifier = task_definition_pb2.TaskIdentifier(project=run.project, domain=run.domain, name=action.task, version="1")
    task = run_definition.TaskActionMetadata(id=identifier, task_type=action.task_type, short_name=action.task)
    metadata = run_definition.ActionMetadata(
        task=task, funtion_name=action.task, action_type="ACTION_TYPE_TASK", parent="" if action.name == "a0" else "a0"
    )
    phase = phase_pb2.ActionPhase.Value(f"ACTION_PHASE_{action.phase}")
    attempts = [
        run_definition.ActionAttempt(attempt=number, phase="ACTION_PHASE_FAILED", error_info={"message": error})
        for number, error in enumerate(action.earlier_errors, start=1)
    ]
    began = run_definition.PhaseTransition(phase=phase, start_time=timestamp_pb2.Timestamp(seconds=action.began))
    newest = run_definition.ActionAttempt(
        attempt=len(attempts) + 1,
        phase=phase,
        cluster_events=[run_definition.ClusterEvent(message=message) for message in action.events],
        error_info=run_definition.ErrorInfo(message=action.error) if action.error else None,
        phase_transitions=[began] if action.began else [],
    )
    ended = {"FAILED": {"error_info": newest.error_info}, "ABORTED": {"abort_info": {"reason": action.abort_reason}}}
    return run_definition.ActionDetails(
        id=identifier_pb2.ActionIdentifier(run=run, name=action.digest),
        metadata=metadata,
        status=run_definition.ActionStatus(phase=phase, attempts=newest.attempt, duration_ms=1000 * action.seconds or None),
        attempts=[*attempts, newest],
        **ended.get(action.phase, {}),
    )

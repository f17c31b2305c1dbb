"""A Flyte service as its clients see it: Connect interfaces of flyte's own stubs over real HTTP, and a store of bundles.

It keeps what it is asked, runs nothing, and answers with the phases, logs and refusals that a test sets.
"""

import asyncio
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
from flyteidl2.task import task_definition_pb2
from flyteidl2.workflow import run_definition_pb2 as run_definition
from flyteidl2.workflow import run_service_pb2 as runs_pb2
from flyteidl2.workflow.run_service_connect import RunServiceASGIApplication


@dataclass
class Action:
    """One action of a run, as a test wants it to be."""

    name: str
    task: str = "longrun-driver.run_on_cluster"
    phase: str = "RUNNING"
    error: str = ""
    events: tuple[tuple[str, str], ...] = ()
    """Reason and message of what Kubernetes said of its pod."""
    seconds: int = 0


@dataclass
class FakeFlyte:
    """Answers of one Flyte service; `asked` has every request, `bundles` what was put."""

    actions: list[Action] = field(default_factory=lambda: [Action("a0")])
    logs: dict[str, list[str]] = field(default_factory=dict)
    refusals: dict[str, ConnectError] = field(default_factory=dict)
    """Name of a call -> what it is refused with."""
    silent: set[str] = field(default_factory=set)
    """Names of calls that are never answered."""
    script: list[list[Action]] = field(default_factory=list)
    """What `actions` become, one entry each time that they are listed."""
    asked: list[tuple[str, Any]] = field(default_factory=list)
    times: list[tuple[str, float]] = field(default_factory=list)
    """When each call came, by the monotonic clock."""
    headers: list[dict[str, str]] = field(default_factory=list)
    bundles: dict[str, bytes] = field(default_factory=dict)
    put_status: int = 200
    runs: set[str] = field(default_factory=set)
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
        """What was asked by calls of that name."""
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
        await _respond(send, 404)

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
            RunServiceASGIApplication(_Runs(self)),
        )

    async def note(self, call: str, request: Any) -> None:
        """Keep the request; refuse it, or never answer it, where the test says so."""
        self.asked.append((call, request))
        self.times.append((call, time.monotonic()))
        if call in self.silent:
            await asyncio.Event().wait()
        if call in self.refusals:
            raise self.refusals[call]

    def action(self, name: str) -> Action:
        """The action of that name."""
        return next(action for action in self.actions if action.name == name)


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
        url = f"{self.fake.url}/bundles/{request.filename}?X-Amz-Signature=signed"
        return data_pb2.CreateUploadLocationResponse(signed_url=url, native_url=f"s3://bucket/{request.filename}")

    async def upload_inputs(self, request: Any, _: Any) -> Any:
        await self.fake.note("upload_inputs", request)
        data = run_pb2.OffloadedInputData(uri="s3://bucket/inputs.pb", inputs_hash="hash")
        return data_pb2.UploadInputsResponse(offloaded_input_data=data)

    async def tail_logs(self, request: Any, _: Any) -> AsyncIterator[Any]:
        await self.fake.note("tail_logs", request)
        for line in self.fake.logs.get(request.action_id.name, []):
            logs = data_pb2.TailLogsResponse.Logs(lines=[logs_pb2.LogLine(message=line)])
            yield data_pb2.TailLogsResponse(logs=[logs])

    create_download_link = get_action_data = None


class _Runs:
    def __init__(self, fake: FakeFlyte) -> None:
        self.fake = fake

    def __getattr__(self, name: str) -> Any:
        async def refuse(*_: Any) -> Any:
            raise ConnectError(Code.UNIMPLEMENTED, f"{name} is not faked")

        return refuse

    async def create_run(self, request: Any, _: Any) -> Any:
        await self.fake.note("create_run", request)
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
        return runs_pb2.ListActionsResponse(actions=[_action(request.run_id, action) for action in self.fake.actions])

    async def abort_run(self, request: Any, _: Any) -> Any:
        await self.fake.note("abort_run", request)
        self._require(request.run_id)
        return runs_pb2.AbortRunResponse()

    def _require(self, run: Any) -> None:
        if run.name not in self.fake.runs:
            raise ConnectError(Code.NOT_FOUND, f"run {run.name} not found")


def _action(run: Any, action: Action) -> Any:
    details = _details(run, action)
    return run_definition.Action(id=details.id, metadata=details.metadata, status=details.status)


def _details(run: Any, action: Action) -> Any:
    task = run_definition.TaskActionMetadata(id=task_definition_pb2.TaskIdentifier(name=action.task, version="1"))
    phase = phase_pb2.ActionPhase.Value(f"ACTION_PHASE_{action.phase}")
    status = run_definition.ActionStatus(phase=phase, attempts=1, duration_ms=1000 * action.seconds)
    events = [run_definition.ClusterEvent(reason=reason, message=message) for reason, message in action.events]
    error = run_definition.ErrorInfo(message=action.error) if action.error else None
    return run_definition.ActionDetails(
        id=identifier_pb2.ActionIdentifier(run=run, name=action.name),
        metadata=run_definition.ActionMetadata(task=task, parent="" if action.name == "a0" else "a0"),
        status=status,
        error_info=error,
        attempts=[run_definition.ActionAttempt(attempt=1, phase=phase, cluster_events=events, error_info=error)],
    )

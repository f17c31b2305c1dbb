"""Connects and logs in to a profile's Flyte service, sends it requests, and translates its errors into ours."""

import asyncio
import sys
from collections.abc import Coroutine, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, TypeVar

from components.errors import ClusterError, ConfigError, EndpointError, LoginRefused, LongrunError, QuotaExceeded
from infra.bundle import PROJECT_ROOT
from infra.cluster.failures import explained, reason
from infra.cluster.profiles import Profile
from infra.variables import variable

SECONDS = 60.0
"""Timeout of a request, including a submission with its upload."""

LOGIN_SECONDS = 300.0
"""Timeout of a request if the user may have to log in with a browser."""

RPC_RETRIES = 2
"""How often Flyte's client retries a request, after 0.5 s and 1 s. Nothing else retries it."""

TOKEN = "FLYTE_TOKEN"  # noqa: S105 - a name
"""Name of a profile's secret with a bearer token for Flyte; without it, Flyte's own login is used."""

_WRONG_ENDPOINT = "check the profile's endpoint and whether Flyte runs: longrun doctor --cluster"

Answer = TypeVar("Answer")


@dataclass(frozen=True)
class FlyteService:
    """The service at a profile's endpoint. Every method raises `ClusterError` or one of its kinds."""

    profile: Profile
    may_sign_in: bool = True
    """Whether to open a browser for login if standard error is a terminal and the profile has no token."""

    def ask(self, question: Coroutine[Any, Any, Answer]) -> Answer:
        """Run a coroutine that uses Flyte's client, connected to this service, and return its result."""
        try:
            with self.translating():
                return asyncio.run(asyncio.wait_for(self._connected(question), self._seconds))
        finally:
            question.close()

    async def _connected(self, question: Coroutine[Any, Any, Answer]) -> Answer:
        await self.connect()
        return await question

    async def connect(self) -> None:
        """Connect Flyte's client in this process to this service."""
        import flyte

        await flyte.init.aio(
            endpoint=self.profile.endpoint,
            insecure=self.profile.endpoint.startswith("http://"),
            project=self.profile.project,
            domain=self.profile.domain,
            auth_type="Pkce" if self._interactive else "Passthrough",
            rpc_retries=RPC_RETRIES,
            root_dir=PROJECT_ROOT,
            # this machine's sys.path means nothing on the cluster
            sync_local_sys_paths=False,
        )

    @contextmanager
    def translating(self) -> Iterator[None]:
        """Within the block, send the profile's token with requests, and raise our errors in place of Flyte's."""
        try:
            with self._login():
                yield
        except TimeoutError as error:
            late = f"no answer from Flyte at {self.profile.endpoint} within {self._seconds:.0f} s"
            raise EndpointError(f"{late}; {_WRONG_ENDPOINT}") from error
        except Exception as error:
            raise self._refusal(error) from error

    @property
    def _seconds(self) -> float:
        return LOGIN_SECONDS if self._interactive else SECONDS

    @property
    def _interactive(self) -> bool:
        return self.may_sign_in and TOKEN not in self.profile.own_secrets and sys.stderr.isatty()

    def _login(self) -> AbstractContextManager[Any]:
        from flyte.remote import auth_metadata

        source = self.profile.own_secrets.get(TOKEN)
        if source is None:
            return nullcontext()
        if self.profile.endpoint.startswith("http://"):
            raise ConfigError(f"{TOKEN} is not sent unencrypted to an http:// endpoint; use https:// in the profile's endpoint")
        token = variable(source)
        if not token:
            raise ConfigError(f"environment variable {source}, from which the profile takes {TOKEN}, is not set")
        return auth_metadata(("authorization", f"Bearer {token}"))

    def _refusal(self, error: Exception) -> LongrunError:
        """Our error for an exception of Flyte's client, with the remedy in its message."""
        from connectrpc.code import Code
        from connectrpc.errors import ConnectError

        if isinstance(error, LongrunError):
            return error
        chain = list(_causes(error))
        answer = next((cause for cause in chain if isinstance(cause, ConnectError)), None)
        message = reason(answer.message if answer else str(error)) or type(error).__name__
        if problem := explained(message):
            return problem[0](f"{message}; {problem[1]}")
        where, code = f"Flyte at {self.profile.endpoint}", answer.code if answer else None
        if code in {Code.UNAUTHENTICATED, Code.PERMISSION_DENIED}:
            return LoginRefused(f"{where} refused the request: {message}; {self._login_remedy}")
        if code in {Code.UNAVAILABLE, Code.DEADLINE_EXCEEDED}:
            return EndpointError(f"no answer from {where}: {message}; {_WRONG_ENDPOINT}")
        if code is Code.UNIMPLEMENTED:
            return EndpointError(f"the server at {self.profile.endpoint} is not a Flyte 2 service; {_WRONG_ENDPOINT}")
        if code is Code.NOT_FOUND:
            return ClusterError(f"{where}: {message}; {self._absence_remedy(message)}")
        if code is Code.RESOURCE_EXHAUSTED:
            return QuotaExceeded(f"{where}: {message}; try again later, or request a larger quota")
        return ClusterError(f"{where}: {message}; examine the cluster with: longrun doctor --cluster")

    def _absence_remedy(self, message: str) -> str:
        if message == f'project "{self.profile.project}" not found':
            return "create it with: longrun deploy"
        return f"check the run's name and the profile's {self._scope}"

    @property
    def _scope(self) -> str:
        return f"project {self.profile.project}, domain {self.profile.domain}"

    @property
    def _login_remedy(self) -> str:
        if source := self.profile.own_secrets.get(TOKEN):
            return f"check the token in environment variable {source} and its rights in {self._scope}"
        return f'add a token with rights in {self._scope} to the profile: {TOKEN} = "environment:VARIABLE" below [secrets]'


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__

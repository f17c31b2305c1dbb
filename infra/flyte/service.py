"""A profile's Flyte service: connecting and signing in to it, and one question at a time. Every refusal is one of our errors."""

import asyncio
import sys
from collections.abc import Coroutine, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, TypeVar

from components.errors import ClusterError, ConfigError, EndpointError, LoginRefused, LongrunError, QuotaExceeded
from infra.bundle import REPOSITORY
from infra.cluster.failures import explained, reason
from infra.cluster.profiles import Profile
from infra.variables import variable

SECONDS = 60.0
"""For one question, and for a submission with its upload."""

LOGIN_SECONDS = 300.0
"""The same where a person may have to sign in with a browser."""

RPC_RETRIES = 2
"""How often Flyte's client, which alone tries again, repeats a request after 0.5 s and 1 s."""

TOKEN = "FLYTE_TOKEN"  # noqa: S105 - a name
"""Secret of a profile that holds a bearer token for Flyte; without it, Flyte's own login is used."""

_WRONG_ENDPOINT = "look at the profile's endpoint, and whether Flyte runs: longrun doctor --cluster"

Answer = TypeVar("Answer")


@dataclass(frozen=True)
class FlyteService:
    """The service at a profile's endpoint. Every method raises `ClusterError` or one of its kinds."""

    profile: Profile
    may_sign_in: bool = True
    """Whether a person may be sent to a browser, where one sits at the terminal and the profile names no token."""

    def ask(self, question: Coroutine[Any, Any, Answer]) -> Answer:
        """What the service answers to `question`."""
        try:
            with self.translating():
                return asyncio.run(asyncio.wait_for(self._connected(question), self._seconds))
        finally:
            question.close()

    async def _connected(self, question: Coroutine[Any, Any, Answer]) -> Answer:
        await self.connect()
        return await question

    async def connect(self) -> None:
        """Make it the service that Flyte's client speaks to in this process."""
        import flyte

        await flyte.init.aio(
            endpoint=self.profile.endpoint,
            insecure=self.profile.endpoint.startswith("http://"),
            project=self.profile.project,
            domain=self.profile.domain,
            auth_type="Pkce" if self._interactive else "Passthrough",
            rpc_retries=RPC_RETRIES,
            root_dir=REPOSITORY,
            # what this machine's path of modules looks like is nothing to the cluster
            sync_local_sys_paths=False,
        )

    @contextmanager
    def translating(self) -> Iterator[None]:
        """Within it, requests carry the profile's token, if it names one, and what they raise is one of our errors."""
        try:
            with self._login():
                yield
        except TimeoutError as error:
            late = f"{self.profile.endpoint} has not answered within {self._seconds:.0f} s"
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
            raise ConfigError(f"{TOKEN} is not sent to an http:// endpoint, where all could read it; allowed: https://")
        token = variable(source)
        if not token:
            raise ConfigError(f"the profile takes {TOKEN} from the environment variable {source}, which is not set")
        return auth_metadata(("authorization", f"Bearer {token}"))

    def _refusal(self, error: Exception) -> LongrunError:
        """The error of ours that says what `error` means."""
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
            return LoginRefused(f"{where} refuses: {message}; {self._login_remedy}")
        if code in {Code.UNAVAILABLE, Code.DEADLINE_EXCEEDED}:
            return EndpointError(f"{where} does not answer: {message}; {_WRONG_ENDPOINT}")
        if code is Code.UNIMPLEMENTED:
            return EndpointError(f"what answers at {self.profile.endpoint} is no Flyte 2 service; {_WRONG_ENDPOINT}")
        if code is Code.NOT_FOUND:
            return ClusterError(f"{where}: {message}; {self._absence_remedy(message)}")
        if code is Code.RESOURCE_EXHAUSTED:
            return QuotaExceeded(f"{where}: {message}; wait, or ask for a larger quota")
        return ClusterError(f"{where}: {message}; look at it with: longrun doctor --cluster")

    def _absence_remedy(self, message: str) -> str:
        if message == f'project "{self.profile.project}" not found':
            return "make it with: longrun deploy; a submission makes it too, where it may"
        return f"look at the run's name and at the profile's {self._scope}"

    @property
    def _scope(self) -> str:
        return f"project {self.profile.project}, domain {self.profile.domain}"

    @property
    def _login_remedy(self) -> str:
        if source := self.profile.own_secrets.get(TOKEN):
            return f"look at the token in the environment variable {source}, and at its rights in {self._scope}"
        return f'give the profile a token, {TOKEN} = "environment:VARIABLE" below [secrets], with rights in {self._scope}'


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__

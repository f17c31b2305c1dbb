"""Processes of a test's own, from a fork server: cheap to start, and free of the threads that a store's client may have."""

import multiprocessing
import os
from collections.abc import Callable, Mapping
from multiprocessing.context import ForkServerContext, ForkServerProcess
from typing import Any


def server() -> ForkServerContext:
    """The fork server, which has the slow imports behind it."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["obstore", "pyarrow.parquet", "tests.components.ports.store_suite"])
    return context


def started(target: Callable[..., object], *arguments: Any) -> ForkServerProcess:
    """A process that calls `target` in this process's environment of now: the server keeps that of its own start."""
    process = server().Process(target=_call, args=(dict(os.environ), target, arguments))
    process.start()
    return process


def _call(environment: Mapping[str, str], target: Callable[..., object], arguments: tuple[Any, ...]) -> None:
    os.environ.clear()
    os.environ.update(environment)
    target(*arguments)

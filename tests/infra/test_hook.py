"""The user's hook: a program or a URL, whose failure is said without its value."""

import json
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from infra.hook import HOOK, call_hook
from tests.servers import free_port

FACTS = {"run": "20260101-000000-aaaa", "failed": True, "exit_code": 3}


def program(folder: Path, body: str) -> Path:
    """An executable script in Python."""
    path = folder / "a hook; touch injected"
    path.write_text(f"#!{sys.executable}\n{body}\n")
    path.chmod(0o755)
    return path


@contextmanager
def listener(status: int, received: list[bytes]) -> Iterator[str]:
    """The URL of a server that answers each POST with `status`, and keeps what it received."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Print nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/secret-path"
        server.shutdown()
        thread.join()


def test_without_a_hook_nothing_is_called(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(HOOK, raising=False)
    assert call_hook(FACTS, 1.0) == ""


def test_a_program_gets_the_facts_on_standard_input_and_no_shell_reads_its_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    body = f"import sys; open({str(tmp_path / 'received')!r}, 'w').write(sys.stdin.read())"
    monkeypatch.setenv(HOOK, str(program(tmp_path, body)))
    assert call_hook(FACTS, 60.0) == ""
    assert json.loads((tmp_path / "received").read_text()) == FACTS
    assert not (tmp_path / "injected").exists()


@pytest.mark.parametrize(
    ("body", "seconds", "why"),
    [
        ("import sys; sys.exit(3)", 60.0, "ended with exit code 3"),
        ("import time; time.sleep(600)", 0.2, "did not end within 0.2 s and was killed"),
    ],
)
def test_a_program_that_fails_or_does_not_end_is_said_without_its_path(
    body: str, seconds: float, why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(HOOK, str(program(tmp_path, body)))
    assert call_hook(FACTS, seconds) == f"the program in ${HOOK} {why}"


@pytest.mark.parametrize("value", ["/no/such/token-123", "curl https://host/token-123", "ftp://host/token-123"])
def test_what_cannot_be_executed_is_said_without_its_value(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(HOOK, value)
    failure = call_hook(FACTS, 1.0)
    assert "cannot be executed (No such file or directory)" in failure
    assert "token-123" not in failure


def test_a_url_gets_the_facts(monkeypatch: pytest.MonkeyPatch) -> None:
    received: list[bytes] = []
    with listener(204, received) as url:
        monkeypatch.setenv(HOOK, url)
        assert call_hook(FACTS, 10.0) == ""
    assert [json.loads(body) for body in received] == [FACTS]


@pytest.mark.parametrize("status", [302, 404, 500])
def test_a_url_that_refuses_is_said_with_its_status_and_without_its_value(status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    with listener(status, []) as url:
        monkeypatch.setenv(HOOK, url)
        assert call_hook(FACTS, 10.0) == f"the URL in ${HOOK} answered with status {status}"


@pytest.mark.parametrize(
    "url",
    [f"http://127.0.0.1:{free_port()}/token-123", "http://[token-123", "https://host:token-123/"],
    ids=["port", "bracket", "text"],
)
def test_a_url_that_cannot_be_reached_is_said_without_its_value(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(HOOK, url)
    failure = call_hook(FACTS, 10.0)
    assert failure.startswith(f"the URL in ${HOOK} cannot be reached (")
    assert "token-123" not in failure

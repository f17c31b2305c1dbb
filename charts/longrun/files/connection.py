"""Tests MLflow and its stores from a pod like a task's: by host name, through the network policies, with a password.

Checks that MLflow answers, rejects requests without login, reads its database, and transfers an artifact to the store and back.
"""

import base64
import os
import urllib.error
import urllib.request

SERVER = os.environ["MLFLOW_TRACKING_URI"]
USER, PASSWORD = os.environ["MLFLOW_TRACKING_USERNAME"], os.environ["MLFLOW_TRACKING_PASSWORD"]
ARTIFACT = "/api/2.0/mlflow-artifacts/artifacts/connection-test/probe.txt"


def ask(path: str, method: str = "GET", body: bytes | None = None, login: bool = True) -> tuple[int, bytes]:
    """Status and body of one request."""
    request = urllib.request.Request(SERVER + path, data=body, method=method)
    request.add_header("Content-Type", "application/octet-stream")
    if login:
        request.add_header("Authorization", "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode())
    try:
        with urllib.request.urlopen(request, timeout=60) as response:
            return response.status, response.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()


def expect(what: str, found: object, wanted: object) -> None:
    """Exit with a message unless both are equal."""
    if found != wanted:
        raise SystemExit(f"failed: {what}: {found!r} instead of {wanted!r}")
    print(f"ok: {what}")


expect("MLflow answers", ask("/health", login=False)[0], 200)
expect("requests without a password are rejected", ask("/api/2.0/mlflow/experiments/search?max_results=1", login=False)[0], 401)
expect("MLflow reads its database", ask("/api/2.0/mlflow/experiments/search?max_results=1")[0], 200)
expect("an artifact is stored", ask(ARTIFACT, "PUT", b"longrun")[0], 200)
expect("the artifact is read back unchanged", ask(ARTIFACT)[1], b"longrun")
expect("the artifact is deleted", ask(ARTIFACT, "DELETE")[0], 200)

"""Tests a cluster's object store, MLflow and claims from inside a pod, which `longrun doctor --cluster` starts.

`python -m infra.from_inside` prints one JSON list with an entry per question. Its exit code is always 0.
"""

import json
import socket
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from components.errors import LongrunError, single_line
from infra.bucket import Bucket, object_store_endpoint
from infra.cluster.pods import CHECKPOINTS, SOURCES
from infra.cluster.process_profile import profile_of_process
from infra.cluster.profiles import Profile
from infra.variables import RETRY_VARIABLE, set_variable

SECONDS = 20.0
"""Timeout for all questions together; they are asked in parallel."""

_CONTENT = b"longrun"

Answer = dict[str, str]
"""`what` was tested, what was `observed`, and the `problem`, empty if there is none."""


def answers(profile: Profile, seconds: float = SECONDS, root: Path = Path("/")) -> list[Answer]:
    """Test the services of a profile; returns the answers in a fixed order. No answer within `seconds` is a problem too."""
    # retries would only delay the report of a service that is down
    set_variable(RETRY_VARIABLE, "0")
    questions: dict[str, Callable[[], str]] = {
        "object store": lambda: object_store(profile),
        "mlflow": lambda: mlflow(profile),
    }
    if profile.checkpoint_claim:
        questions["checkpoint claim"] = lambda: checkpoints(profile, root / CHECKPOINTS.lstrip("/"))
    if profile.source_claim:
        questions["source claim"] = lambda: sources(profile, root / SOURCES.lstrip("/"))
    return _asked(questions, seconds)


def _asked(questions: dict[str, Callable[[], str]], seconds: float) -> list[Answer]:
    known: dict[str, Answer] = {}

    def ask(what: str) -> None:
        try:
            known[what] = {"what": what, "observed": questions[what](), "problem": ""}
        except (LongrunError, OSError) as error:
            known[what] = {"what": what, "observed": "", "problem": single_line(error)}

    threads = [threading.Thread(target=ask, args=(what,), daemon=True) for what in questions]
    deadline = time.monotonic() + seconds
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    silent = f"no answer within {seconds:g} s; check the network policies"
    return [known.get(what) or {"what": what, "observed": "", "problem": silent} for what in questions]


def object_store(profile: Profile) -> str:
    """Write, read and delete an object below the artifact root; returns what was observed. Raises `StoreError`."""
    bucket = Bucket(profile.artifact_root, object_store_endpoint(profile.artifact_root) or profile.object_store_endpoint)
    path = f"doctor/{socket.gethostname()}"
    try:
        bucket.replace(path, _CONTENT, "")
        if bucket.get(path)[0] != _CONTENT:
            raise OSError(f"{profile.artifact_root}/{path}: the bytes read differ from those written")
    finally:
        bucket.delete([path])
    return f"{profile.artifact_root}: wrote, read and deleted an object"


def mlflow(profile: Profile) -> str:
    """List experiments with the pods' login; returns what was observed. Raises `TrackingError`."""
    from infra.mlflow.tracking import ask

    ask(profile.mlflow_uri, lambda client: client.search_experiments(max_results=1))
    return f"{profile.mlflow_uri}: listed experiments"


def checkpoints(profile: Profile, mounted: Path) -> str:
    """Write, read and delete a file in the checkpoint claim; returns what was observed. Raises `OSError`."""
    with tempfile.NamedTemporaryFile(dir=mounted, prefix=".doctor-") as stream:
        stream.write(_CONTENT)
        stream.flush()
        if Path(stream.name).read_bytes() != _CONTENT:
            raise OSError(f"{mounted}: the bytes read differ from those written")
    return f"{profile.checkpoint_claim}: wrote, read and deleted a file"


def sources(profile: Profile, mounted: Path) -> str:
    """Count the entries at the top of the source claim; returns what was observed. Raises `OSError`."""
    return f"{profile.source_claim}: readable, {sum(1 for _ in mounted.iterdir())} entries"


def main() -> None:
    """Test the services of this pod's profile and print the answers."""
    profile = profile_of_process()
    if profile is None:
        raise SystemExit("$LONGRUN_PROFILE is not set: infra.from_inside runs only in pods that longrun doctor --cluster starts")
    print(json.dumps(answers(profile)), flush=True)


if __name__ == "__main__":
    main()

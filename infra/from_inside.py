"""What a cluster's store, MLflow and claims are like from inside: `longrun doctor` runs it in a pod of the tasks' own kind.

`python -m infra.from_inside` prints one JSON list, an entry a question, and ends with 0 whatever the answers are.
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
"""For all questions together, which are asked at once."""

_CONTENT = b"longrun"

Answer = dict[str, str]
"""`what` was asked, what was `observed`, and the `problem`: empty where there is none."""


def answers(profile: Profile, seconds: float = SECONDS, root: Path = Path("/")) -> list[Answer]:
    """The answers in a fixed order; what has not answered within `seconds` has that for a problem."""
    # a pod that waits for a service to come back tells nobody
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
    silent = f"no answer within {seconds:g} s: look at the network policies"
    return [known.get(what) or {"what": what, "observed": "", "problem": silent} for what in questions]


def object_store(profile: Profile) -> str:
    """Write, read and delete an object below the artifact root. Raises `StoreError`."""
    bucket = Bucket(profile.artifact_root, object_store_endpoint(profile.artifact_root) or profile.object_store_endpoint)
    path = f"doctor/{socket.gethostname()}"
    try:
        bucket.replace(path, _CONTENT, "")
        if bucket.get(path)[0] != _CONTENT:
            raise OSError(f"{profile.artifact_root}/{path} does not hold what was put there")
    finally:
        bucket.delete([path])
    return f"{profile.artifact_root}: an object written, read and deleted"


def mlflow(profile: Profile) -> str:
    """Ask MLflow for experiments, as the user that pods are. Raises `TrackingError`."""
    from infra.mlflow.tracking import ask

    ask(profile.mlflow_uri, lambda client: client.search_experiments(max_results=1))
    return f"{profile.mlflow_uri}: experiments can be read"


def checkpoints(profile: Profile, mounted: Path) -> str:
    """Write, read and delete a file in the checkpoint claim. Raises `OSError`."""
    with tempfile.NamedTemporaryFile(dir=mounted, prefix=".doctor-") as stream:
        stream.write(_CONTENT)
        stream.flush()
        if Path(stream.name).read_bytes() != _CONTENT:
            raise OSError(f"{mounted} does not hold what was written to it")
    return f"{profile.checkpoint_claim}: a file written, read and deleted"


def sources(profile: Profile, mounted: Path) -> str:
    """Count what is in the source claim. Raises `OSError`."""
    return f"{profile.source_claim}: can be read, {sum(1 for _ in mounted.iterdir())} entries"


def main() -> None:
    """Print the answers of this pod's profile."""
    profile = profile_of_process()
    if profile is None:
        raise SystemExit("infra.from_inside runs in a pod that longrun doctor makes: $LONGRUN_PROFILE is not set")
    print(json.dumps(answers(profile)), flush=True)


if __name__ == "__main__":
    main()

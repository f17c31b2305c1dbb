"""How long a submission takes on our side, from the command's start: `python -m tests.benchmarks.submit`.

The Flyte service and the registry are the tests' own, on this machine, and answer at once. Ready is a submission when the code
is bundled and stored and the tasks' specifications are made; the whole command has Flyte's answer and its own end besides.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from infra.bundle import PROJECT_ROOT
from infra.cluster.profiles import write_profile
from infra.variables import quieten
from tests.benchmarks.rows import Row, write
from tests.fake_cluster.flyte_service import FakeFlyte
from tests.fake_cluster.kubernetes_api import FakeCluster
from tests.infra.conftest import sample_profile

MAX_SECONDS = 3.0
ROUNDS = 5


def main() -> None:
    """Run the benchmark and write its rows."""
    quieten()
    with tempfile.TemporaryDirectory() as directory, FakeFlyte().serving() as flyte, FakeCluster().serving() as registry:
        home = Path(directory)
        profile = sample_profile(endpoint=flyte.url, image_registry=f"{registry.host}/longrun", secrets={})
        write_profile(home, "site", profile)
        rounds = [submission(home, flyte) for _ in range(ROUNDS)]
        size = max(map(len, flyte.bundles.values()))
    print(f"bundle {size / 2**10:.0f} KiB, {ROUNDS} rounds")
    ready, whole = (statistics.median(seconds) for seconds in zip(*rounds, strict=True))
    write(
        "submit",
        [
            Row(name="code bundled and stored, specs ready", ours=ready, reference=MAX_SECONDS, target="<= 1", unit="s"),
            Row(name="longrun run smoke --on cluster, whole", ours=whole, reference=MAX_SECONDS, target="-", unit="s"),
        ],
        Path(".longrun"),
    )


def submission(home: Path, flyte: FakeFlyte) -> tuple[float, float]:
    """Seconds from a command's start until Flyte gets its inputs and specifications, and until it ends."""
    command = [sys.executable, "-m", "workflows.cli", "run", "smoke", "--on", "cluster", "--home", str(home)]
    started = time.monotonic()
    subprocess.run(command, cwd=PROJECT_ROOT, env=os.environ, check=True, stdout=subprocess.DEVNULL)
    ended = time.monotonic()
    ready = max(when for call, when in flyte.times if call == "upload_inputs")
    return ready - started, ended - started


if __name__ == "__main__":
    main()

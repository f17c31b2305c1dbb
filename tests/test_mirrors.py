"""Tests mirror the code: a module has a test file of its own, or stands here with what tests it instead."""

from pathlib import Path

import pytest

from tests.paths import MODULES, ROOT

UNMIRRORED: dict[str, str] = {
    "components/alignment/pages/template.py": "a template: tests/components/alignment/pages/test_page.py",
    "components/curation/pages/corpus_page_template.py": "a template: tests/components/curation/pages/test_corpus_page.py",
    "components/curation/tables/reasons.py": "names alone: tests/components/curation/test_curate.py counts documents by them",
    "components/curation/tables/schemas.py": "schemas alone: tests/components/curation/test_curate.py and what reads each table",
    "components/generation/scored.py": "a constant: tests/components/generation/test_bits_per_byte.py",
    "components/model/cross_entropy_kernel.py": "for GPUs alone: compared with the CPU in tests/components/model/test_loss.py",
    "components/evaluation/template.py": "HTML alone; tests/components/evaluation/test_page.py parses what it renders",
    "components/run_report/template.py": "HTML alone; tests/components/run_report/test_page.py parses what it renders",
    "components/run_report/values.py": "values alone: tests/components/run_report/test_page.py shows them",
    "infra/cluster/removal.py": "each step against a cluster: tests/workflows/commands/cluster/test_removal.py",
    "infra/bucket.py": "what a store of artifacts asks of S3: tests/infra/test_storage.py",
    "workflows/cli/cluster.py": "options alone: tests/workflows/commands/cluster/ runs its commands",
    "workflows/cli/data.py": "options alone: tests/workflows/cli/test_panels.py, tests/workflows/commands/test_inspect.py",
    "workflows/cli/look.py": "options alone: tests/workflows/commands/test_runs.py and commands/cluster/test_runs.py",
    "workflows/cli/models.py": "options alone: tests/end_to_end/test_chain.py runs its commands",
    "workflows/cli/run.py": "options alone: tests/end_to_end/test_chain.py runs its commands",
    "workflows/commands/run.py": "a display around a run: tests/end_to_end/test_chain.py",
    "workflows/preflight/omissions.py": "tests/workflows/preflight/test_benchmarks.py has sources that lose too many items",
    "workflows/recipes/laptop.py": "values: tests/workflows/recipes/test_recipes.py",
    "workflows/recipes/one_gpu.py": "tests/workflows/recipes/test_gpu_recipes.py",
    "workflows/recipes/recipe_7b.py": "tests/workflows/recipes/test_gpu_recipes.py",
    "workflows/recipes/smoke.py": "values: tests/workflows/recipes/test_recipes.py",
    "workflows/recipes/tiny.py": "values: tests/workflows/recipes/test_recipes.py",
    "workflows/sweeps/python_text.py": "values: tests/workflows/sweeps/test_sweep.py",
    "workflows/sweeps/tiny_text.py": "values: tests/workflows/sweeps/test_sweep.py",
    "workflows/sweeps/tiny_grid.py": "values: tests/workflows/sweeps/test_sweep.py",
    "workflows/sweeps/tiny_ladder.py": "values: tests/workflows/sweeps/test_sweep.py",
}
"""Modules without a test file of their own, each with the reason."""


def mirror_of(module: Path) -> Path:
    """Where the tests of a module are."""
    return Path("tests", module.parent, f"test_{module.name}")


def modules() -> list[Path]:
    """Every module of ours that defines something; packages alone hold names of others."""
    return [path for path in MODULES if path.name not in {"__init__.py", "__main__.py"}]


@pytest.mark.parametrize("module", modules(), ids=str)
def test_a_module_has_tests_of_its_own_or_a_reason(module: Path) -> None:
    assert (ROOT / mirror_of(module)).exists() != (str(module) in UNMIRRORED)


def test_every_reason_is_about_a_module() -> None:
    assert {name for name in UNMIRRORED if not (ROOT / name).is_file()} == set()

"""Where the project and the shared material of its tests are."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

PACKAGES = ("components", "infra", "workflows")

MODULES = sorted(path.relative_to(ROOT) for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
"""Every module of ours, relative to the project."""

SHARED = ROOT.parent / "shared"
"""Real corpora, benchmarks and published figures beside the project; tests that need them say so where they are absent."""

SCHEMAS = ROOT / "tests" / "schemas"
"""What KubeRay and Flyte publish of their kinds and charts."""

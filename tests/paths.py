"""Where the project and the shared material of its tests are."""

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

SHARED = ROOT.parent / "shared"
"""Real corpora, benchmarks and published figures beside the project; tests that need them say so where they are absent."""

SCHEMAS = ROOT / "tests" / "schemas"
"""What KubeRay and Flyte publish of their kinds and charts."""

"""The wheel's dependencies: every package that a run imports, in the locked version, so that a wheel works like a checkout.

pyproject.toml has everything else.
"""

import sys
from pathlib import Path

from setuptools import setup

sys.path.insert(0, str(Path(__file__).parent))
from infra.distributions import LOCKS, RUNTIME_GROUPS, pins


def requirements(*groups: str) -> list[str]:
    """The packages of these locks, pinned. Hashes, which wheels cannot require, are left to those who install from the locks."""
    locked = {name: version for group in groups for name, version in pins(LOCKS / f"{group}.txt").items()}
    return [f"{name}=={version}" for name, version in sorted(locked.items())]


setup(install_requires=requirements(*RUNTIME_GROUPS), extras_require={"cluster": requirements("cluster")})

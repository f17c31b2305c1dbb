"""What importing DeepSpeed brings along."""

import subprocess
import sys

import pytest

LIBRARY = "from components.training.deepspeed_library import deepspeed; deepspeed(); import sys; "


def ended(code: str) -> int:
    return subprocess.run([sys.executable, "-c", code], check=False).returncode


@pytest.mark.long
def test_deepspeed_does_not_bring_mlflow_which_can_be_imported_afterwards() -> None:
    assert ended(LIBRARY + "assert 'mlflow' not in sys.modules; import mlflow; mlflow.get_tracking_uri") == 0


@pytest.mark.long
def test_an_mlflow_that_was_imported_before_stays() -> None:
    assert ended("import mlflow; before = mlflow; " + LIBRARY + "assert sys.modules['mlflow'] is before") == 0

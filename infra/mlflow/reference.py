"""Makes a directory of this machine known to MLflow as a model, without a copy of its weights.

MLflow writes a file into the directory from which it loads a registered version, and its server does not accept a path of another
machine as the source of a version. So the source is a small model among the artifacts of a run: the description of the directory,
which refers to the weights by their absolute path.
"""

import json
import shutil
import tempfile
from pathlib import Path

from infra.mlflow.tracking import ask

_MODEL = "model"
"""Path of the model among a run's artifacts."""

_MLMODEL = "MLmodel"

_COPIED = ("input_example.json", "serving_input_example.json", "components/*/*", "README.md")
"""What MLflow reads next to `MLmodel`, and the model card, as patterns."""


def log_reference(tracking_uri: str, run_id: str, directory: Path) -> str:
    """Log a model to a run whose weights stay in `directory`, which contains `MLmodel` as JSON; returns the model's URI.

    The model loads on machines that see `directory` at the same path. Repeated calls have no further effect.
    """
    described = json.loads((directory / _MLMODEL).read_bytes())
    for flavor in described["flavors"].values():
        flavor["model_binary"] = str(directory.absolute() / flavor["model_binary"])
    with tempfile.TemporaryDirectory() as folder:
        for source in (path for pattern in _COPIED for path in directory.glob(pattern)):
            target = Path(folder) / source.relative_to(directory)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
        (Path(folder) / _MLMODEL).write_text(json.dumps(described, indent=1, ensure_ascii=False), encoding="utf-8")
        ask(tracking_uri, lambda mlflow: mlflow.log_artifacts(run_id, folder, _MODEL))
    return ask(tracking_uri, lambda mlflow: f"{mlflow.get_run(run_id).info.artifact_uri}/{_MODEL}")

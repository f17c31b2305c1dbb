"""The steps of registration, and what the registry is told."""

from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

import pytest
import torch

from components.artifacts import RegisteredModel
from components.errors import DamagedArtifact
from components.ports import LocalArtifactStore
from components.registration.config import RegistrationConfig
from components.registration.prepare import prepare
from infra.mlflow import tracking
from tests.components.ports.store_suite import change_and_remember, manifest_of, publish
from tests.components.registration import conftest as chain
from tests.components.registration.conftest import PASSED, finished_in, lineage
from tests.workflows.stage_suite import require_inputs_taken, run_in, steps_of
from workflows import registration
from workflows.steps.run import Run

CONFIG = RegistrationConfig(name="small")

tokenizer_directory, plan_directory = chain.tokenizer_directory, chain.plan_directory


@pytest.mark.parametrize("step", steps_of(registration))
def test_the_component_of_a_step_takes_its_inputs(step: str, tmp_path: Path) -> None:
    require_inputs_taken(registration, step, tmp_path)


def test_a_changed_model_is_not_registered_whatever_is_remembered(tmp_path: Path) -> None:
    run, store = run_in(tmp_path), LocalArtifactStore(tmp_path)
    model = publish(store).as_(RegisteredModel)
    change_and_remember(store, model)
    with pytest.raises(DamagedArtifact, match=r"a\.txt: sha256 differs from the manifest; make it again"):
        registration.enter_registry(run, RegistrationConfig(name="small"), model)


@dataclass(frozen=True)
class Registered:
    """A tiny model after registration, twice."""

    run: Run
    model: RegisteredModel
    directory: Path
    files: dict[str, bytes]
    """Contents of its directory before it was registered."""


@pytest.fixture(scope="module")
def registered(tmp_path_factory: pytest.TempPathFactory, tokenizer_directory: Path, plan_directory: Path) -> Registered:
    home = tmp_path_factory.mktemp("home with space")
    run, store = replace(run_in(home), recipe="small"), LocalArtifactStore(home)
    run = replace(run, mlflow_run=tracking.start_run(run.tracking_uri, "run"))
    finished = finished_in(home / "finished", tokenizer_directory, plan_directory)
    with store.writing("registration") as output:
        said = {"checkpoint": finished.checkpoint, "report": finished.report, "plan": finished.plan, "output": output}
        prepare(CONFIG, **said, lineage=lineage(), checks=(PASSED,))
        model = store.publish(output, manifest_of(output, step="registration")).as_(RegisteredModel)
    directory = home / model.uri
    files = files_in(directory)
    for _ in range(2):
        registration.enter_registry(run, CONFIG, model)
    return Registered(run, model, directory, files)


def files_in(directory: Path) -> dict[str, bytes]:
    return {str(path.relative_to(directory)): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


@pytest.mark.long
def test_a_model_is_registered_once_and_journal_and_parent_have_its_version(registered: Registered) -> None:
    run, model = registered.run, registered.model
    events = [(event["model"], event["new"], event["digest"]) for event in run.journal.events()]
    assert events == [("small/1", True, model.digest), ("small/1", False, model.digest)]
    assert tracking.client(run.tracking_uri).get_run(run.mlflow_run).data.tags["model_version"] == "small/1"


@pytest.mark.long
def test_the_version_has_the_summary_of_the_card_as_its_description(registered: Registered) -> None:
    (version,) = tracking.client(registered.run.tracking_uri).search_model_versions("name = 'small'")
    assert version.description.startswith("# small\n\nA LLaMA-style language model with 35,488 parameters")
    assert "## Intended use and limits" in version.description
    assert len(version.description) <= 5000


@pytest.mark.long
def test_mlflow_finds_signature_and_example_of_the_version_and_the_weights_where_they_are(registered: Registered) -> None:
    from mlflow.models import Model

    mlflow = tracking.client(registered.run.tracking_uri)
    source = url2pathname(urlsplit(mlflow.get_model_version_download_uri("small", "1")).path)
    described = Model.load(source)
    assert described.flavors["transformers"]["model_binary"] == str(registered.directory)
    assert described.get_input_schema().input_types() == Model.load(str(registered.directory)).get_input_schema().input_types()
    assert described.load_input_example(source) == ["User: Hello\n\nAssistant:"]
    home = Path(registered.run.home)
    assert len([path for path in home.rglob("model.safetensors") if "finished" not in path.parts]) == 1


@pytest.mark.slow
def test_mlflow_and_transformers_load_the_version_from_one_copy_of_the_weights(
    registered: Registered, monkeypatch: pytest.MonkeyPatch
) -> None:
    import mlflow
    import transformers

    monkeypatch.setenv("MLFLOW_TRACKING_URI", registered.run.tracking_uri)
    monkeypatch.setenv("MLFLOW_REGISTRY_URI", registered.run.tracking_uri)
    pipeline = mlflow.transformers.load_model("models:/small/1")
    function = mlflow.pyfunc.load_model("models:/small@candidate")
    assert isinstance(pipeline, transformers.TextGenerationPipeline)
    prompt, *_ = function.input_example
    continued = function.predict(prompt, params={"max_new_tokens": 3})
    assert continued == function.predict(prompt, params={"max_new_tokens": 3})
    assert continued[0].startswith(prompt)
    theirs = transformers.AutoModelForCausalLM.from_pretrained(registered.directory)
    assert torch.equal(theirs.model.norm.weight, pipeline.model.model.norm.weight)
    assert mlflow.transformers.load_model(str(registered.directory)).task == "text-generation"
    assert files_in(registered.directory) == registered.files
    assert registered.run.store.differences(registered.model) == []

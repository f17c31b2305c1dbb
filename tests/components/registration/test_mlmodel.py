"""MLflow's description of a registered directory."""

import json

from mlflow.models import Model

from components.registration.mlmodel import write_mlmodel


def test_mlflow_reads_flavors_signature_and_example(finished):
    write_mlmodel(finished.checkpoint)
    model = Model.load(str(finished.checkpoint))
    assert set(model.flavors) == {"transformers", "python_function"}
    assert model.flavors["transformers"]["model_binary"] == "."
    assert [str(kind) for kind in model.get_input_schema().input_types()] == ["DataType.string"]
    assert [param.name for param in model.get_params_schema()] == ["max_new_tokens", "do_sample"]
    assert model.load_input_example(str(finished.checkpoint)) == ["User: Hello\n\nAssistant:"]


def test_the_description_has_no_time_version_or_path(finished):
    write_mlmodel(finished.checkpoint)
    text = (finished.checkpoint / "MLmodel").read_text()
    assert set(json.loads(text)) == {"flavors", "signature", "saved_input_example_info"}
    assert str(finished.checkpoint) not in text

"""The registered directory: whole, loadable, reproducible."""

import dataclasses

import pytest
import torch
import transformers

from components.artifacts import Lineage
from components.errors import DamagedArtifact, MissingArtifact, RegistrationRefused
from components.model import huggingface
from components.registration.config import RegistrationConfig
from components.registration.prepare import prepare
from tests.components.artifacts.samples import FINDINGS, VERDICT
from tests.components.registration.conftest import FAILED, PASSED, lineage

CONFIG = RegistrationConfig(name="smoke")
FILES = {
    "MLmodel",
    "README.md",
    "components/tokenizer/special_tokens.json",
    "components/tokenizer/tokenizer.json",
    "components/tokenizer/tokenizer_config.json",
    "config.json",
    "generation_config.json",
    "input_example.json",
    "lineage.json",
    "model.safetensors",
    "serving_input_example.json",
    "special_tokens.json",
    "tokenizer.json",
    "tokenizer_config.json",
}


def run(finished, output, checks=(PASSED,), config=CONFIG, verdicts=None):
    output.mkdir()
    return prepare(
        config,
        checkpoint=finished.checkpoint,
        report=finished.report,
        plan=finished.plan,
        lineage=lineage(),
        checks=checks,
        verdicts=verdicts,
        output=output,
    )


def test_the_directory_holds_model_tokenizer_card_and_lineage_and_nothing_else(finished, tmp_path):
    figures = run(finished, tmp_path / "output")
    output = tmp_path / "output"
    assert {path.relative_to(output).as_posix() for path in output.rglob("*") if path.is_file()} == FILES
    assert figures == {"name": "smoke", "parameters": 35_488, "bits_per_byte": 2.2, "checks": 1}


def test_the_weights_are_those_of_the_checkpoint(finished, tmp_path):
    run(finished, tmp_path / "output")
    before, after = (huggingface.load(path).state_dict() for path in (finished.checkpoint, tmp_path / "output"))
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_the_lineage_keeps_digests_and_forgets_uris(finished, tmp_path):
    run(finished, tmp_path / "output")
    written = Lineage.read(tmp_path / "output")
    assert written == lineage().without_uris() != lineage()
    assert written.artifacts["digest-of-scaling"].inputs == {"corpus": "digest-of-curation"}
    assert "/home/" not in (tmp_path / "output/lineage.json").read_text()


def test_the_same_inputs_give_the_same_bytes(finished, tmp_path):
    run(finished, tmp_path / "one")
    run(finished, tmp_path / "two")
    assert all((tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes() for name in FILES)


def test_a_refused_model_leaves_nothing(finished, tmp_path):
    with pytest.raises(RegistrationRefused, match="loss falls"):
        run(finished, tmp_path / "output", checks=(FAILED,))
    assert list((tmp_path / "output").iterdir()) == []


def test_a_model_worse_than_the_baseline_is_refused(finished, tmp_path):
    figures = {("byte-unigram", "code"): 4.0, ("byte-unigram", "prose"): 4.0, ("dpo", "code"): 4.1}
    rows = (
        dataclasses.replace(r, bits_per_byte=figures.get((r.model, r.domain), r.bits_per_byte)) for r in FINDINGS.bits_per_byte
    )
    dataclasses.replace(FINDINGS, bits_per_byte=tuple(rows)).write(finished.report)
    with pytest.raises(RegistrationRefused, match=r"4\.100 bits per byte on code is not better than byte-unigram with 4\.000"):
        run(finished, tmp_path / "output")


def test_weights_that_are_not_finite_are_refused(finished, tmp_path, tokenizer_directory):
    model = huggingface.load(finished.checkpoint)
    with torch.no_grad():
        model.norm.weight[3] = torch.inf
    huggingface.save(model, tokenizer_directory, finished.checkpoint)
    with pytest.raises(RegistrationRefused, match=r"norm\.weight"):
        run(finished, tmp_path / "output")


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json", "generation_config.json"])
def test_a_checkpoint_that_lacks_a_file_is_refused_by_its_name(finished, tmp_path, name):
    (finished.checkpoint / name).unlink()
    with pytest.raises(MissingArtifact, match=name):
        run(finished, tmp_path / "output")


def test_weights_cut_short_are_refused(finished, tmp_path):
    weights = finished.checkpoint / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(DamagedArtifact, match=r"model\.safetensors"):
        run(finished, tmp_path / "output")


def test_a_missing_report_is_named(finished, tmp_path):
    (finished.report / "report.json").unlink()
    with pytest.raises(MissingArtifact, match=r"report\.json"):
        run(finished, tmp_path / "output")


def test_transformers_loads_it_with_the_same_logits_and_chat_format(finished, tmp_path):
    run(finished, tmp_path / "output")
    theirs = transformers.AutoModelForCausalLM.from_pretrained(tmp_path / "output").eval()
    tokenizer = transformers.AutoTokenizer.from_pretrained(tmp_path / "output")
    prompt = tokenizer.apply_chat_template(
        [{"role": "user", "content": "Hello"}], add_generation_prompt=True, return_tensors="pt", return_dict=True
    )
    ids = prompt["input_ids"]
    assert tokenizer.decode(ids[0]) == "<｜begin▁of▁sentence｜>User: Hello\n\nAssistant:"
    with torch.no_grad():
        torch.testing.assert_close(theirs(ids).logits, huggingface.load(tmp_path / "output").eval()(ids), rtol=1e-4, atol=1e-5)
    answer = theirs.generate(**prompt, max_new_tokens=4)
    assert answer.shape[1] <= ids.shape[1] + 4


def test_an_outcome_above_the_prediction_warns_on_the_card_or_blocks_as_configured(finished, tmp_path):
    VERDICT.write(tmp_path)
    run(finished, tmp_path / "warned", verdicts={"pretraining": tmp_path})
    assert "above the interval" in (tmp_path / "warned/README.md").read_text()
    with pytest.raises(RegistrationRefused, match="is above the interval"):
        run(
            finished,
            tmp_path / "blocked",
            config=dataclasses.replace(CONFIG, verdict="block"),
            verdicts={"pretraining": tmp_path},
        )

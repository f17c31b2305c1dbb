"""Each wrong word on the command line gives one clear line and the right exit code."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.servers import free_port

USAGE = {
    "run nothing": "unknown recipe 'nothing'; allowed: tiny, smoke, laptop",
    "run tyny": "did you mean 'tiny'?",
    "run absent.py": "absent.py does not exist",
    "run empty.py": "empty.py has 0 functions",
    "run broken.py": "broken.py cannot be imported: SyntaxError",
    "run number.py": "returned int; it must return a Recipe",
    "run raising.py": "raising.py:make failed in line 2: ValueError: no",
    "run tiny --until nowhere": "unknown stage or step 'nowhere'; allowed: curation, tokenizer",
    "run tiny --fresh nowhere": "unknown stage or step 'nowhere'",
    "run tiny --set pretraining.learning_rate=-1": "learning_rate is -1.0; allowed: a positive number",
    "run tiny --set pretraining.speed=1": "unknown field 'speed' (did you mean 'seed'?); allowed: batch_size",
    "run tiny --set pretraining.tokens=many": "wrong type; allowed: a whole number or null; such as --set pretraining.tokens=",
    "run tiny --set pretraining.seed=true": "wrong type; allowed: a whole number; such as --set pretraining.seed=0",
    "run tiny --set name.first=a": "name is tiny, which has no fields",
    "run tiny --set pretraining": "not of the form section.field=value",
    "run tiny --home file": "file cannot be used",
    "run tiny --artifact-root bucket": "artifact_root is 'bucket'; allowed: s3://… or gs://… or home",
    "run tiny --mlflow-uri sqlite:///db": "mlflow_uri is 'sqlite:///db'; allowed: http://… or https://… or home",
    "run tiny --mlflow-uri https://me:word@host": "mlflow_uri contains a user, a password",
    "lineage": "Missing argument",
    "lineage model --home nothing-yet": "has no registered models",
    "logs --home nothing-yet": "matches 0 runs",
    "plan --compute 0": "compute",
    "plan --compute -1e20": "compute",
}

FILES = {
    "empty.py": "",
    "broken.py": "def make(:",
    "number.py": "def make():\n    return 3\n",
    "raising.py": "def make():\n    raise ValueError('no')\n",
    "file": "",
}


def longrun(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "workflows.cli", *words], cwd=cwd, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("words", USAGE)
def test_wrong_usage_is_one_clear_line_and_exit_code_2(words: str, tmp_path: Path) -> None:
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    ended = longrun(*words.split(), cwd=tmp_path)
    assert ended.returncode == 2, ended.stderr
    assert USAGE[words] in " ".join(ended.stderr.split())
    assert "Traceback" not in ended.stderr


def test_a_server_that_does_not_answer_is_refused_before_any_work_and_not_remembered(tmp_path: Path) -> None:
    ended = longrun("run", "tiny", "--home", "home", "--mlflow-uri", f"http://127.0.0.1:{free_port()}", cwd=tmp_path)
    assert ended.returncode == 1
    assert "does not answer" in ended.stderr
    assert "check its address and whether it runs" in ended.stderr
    assert [path.name for path in (tmp_path / "home").iterdir()] == ["preflight.json"]


def test_a_source_that_does_not_exist_is_named_before_any_work(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "from dataclasses import replace\n"
        "from components.curation.config import Source\n"
        "from workflows.recipes.tiny import tiny\n"
        "def mine():\n"
        "    sources = (Source(uri='no-such-folder', domain='prose', weight=1.0),)\n"
        "    return replace(tiny(), curation=replace(tiny().curation, sources=sources))\n"
    )
    ended = longrun("run", "mine.py", cwd=tmp_path)
    assert ended.returncode == 1
    assert "no-such-folder" in ended.stderr
    assert ended.stderr.count("\n") == 1


def test_a_recipe_too_large_for_the_machine_is_refused_before_any_work(tmp_path: Path) -> None:
    ended = longrun(
        "run", "tiny", "--set", "pretraining.shape.n_layer=30000", "--set", "pretraining.shape.d_model=4096", cwd=tmp_path
    )
    assert ended.returncode == 1
    assert "recipe tiny needs" in ended.stderr
    assert not (tmp_path / ".longrun" / "runs").exists()


def test_debug_shows_the_traceback(tmp_path: Path) -> None:
    assert "Traceback" in longrun("--debug", "run", "nothing", cwd=tmp_path).stderr

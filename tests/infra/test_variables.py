"""Environment variables that longrun sets for its libraries, and the one that says how long requests are retried."""

import os
from pathlib import Path

import pytest

from components.errors import ConfigError
from infra import variables
from infra.variables import (
    QUIET,
    WAITING,
    keep_caches,
    keep_flyte_state,
    numba_cache,
    pod_variables,
    quieten,
    retry_seconds,
    set_variable,
    variable,
)


def test_an_unset_variable_is_none_and_a_set_one_reaches_other_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LONGRUN_TEST", raising=False)
    assert variable("LONGRUN_TEST") is None
    set_variable("LONGRUN_TEST", "7")
    assert variable("LONGRUN_TEST") == os.environ.pop("LONGRUN_TEST") == "7"


def test_bytecode_is_written_whatever_the_user_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    quieten()
    assert variable("PYTHONDONTWRITEBYTECODE") is None


def test_every_cache_of_a_library_is_in_the_home_or_beside_the_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("TORCHINDUCTOR_CACHE_DIR", "TRITON_CACHE_DIR", "MPLCONFIGDIR", "HF_HOME")
    for name in (*names, "NUMBA_CACHE_DIR"):
        monkeypatch.setenv(name, "elsewhere")
    keep_caches(tmp_path)
    assert {Path(os.environ[name]).parent for name in names} == {tmp_path / "cache"}
    assert os.environ["NUMBA_CACHE_DIR"] == str(numba_cache(tmp_path))


def test_flytes_state_is_in_the_home_and_a_config_that_is_there_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UCTL_CONFIG", "elsewhere")
    keep_flyte_state(tmp_path)
    config = Path(os.environ["UCTL_CONFIG"])
    assert tmp_path in config.parents
    config.write_text("admin: {}")
    keep_flyte_state(tmp_path)
    assert config.read_text() == "admin: {}"


def test_retries_last_five_minutes_unless_the_environment_says_otherwise(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LONGRUN_PATIENCE", raising=False)
    assert retry_seconds() == 300.0
    monkeypatch.setenv("LONGRUN_PATIENCE", "0.5")
    assert retry_seconds() == 0.5


@pytest.mark.parametrize("text", ["soon", "-1", "nan", "1e3"])
def test_the_timeout_is_a_number_of_seconds(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LONGRUN_PATIENCE", text)
    with pytest.raises(ConfigError, match=r"LONGRUN_PATIENCE is .*a number of seconds"):
        retry_seconds()


@pytest.mark.parametrize("name", WAITING)
def test_threads_wait_as_the_user_wants_them_to_or_else_for_a_little_while(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "7")
    quieten()
    assert os.environ[name] == "7"
    monkeypatch.delenv(name)
    quieten()
    assert os.environ[name] == WAITING[name]


def test_machine_code_has_another_directory_for_other_code(tmp_path: Path) -> None:
    code = tmp_path / "components"
    (code / "inner").mkdir(parents=True)
    (code / "inner" / "hashing.py").write_text("one")
    before = numba_cache(tmp_path / "home", code)
    assert before.parent == code / "__pycache__"
    assert before == numba_cache(tmp_path / "another", code)
    (code / "inner" / "hashing.py").write_text("two")
    assert numba_cache(tmp_path / "home", code) != before


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_machine_code_is_in_the_home_where_the_code_is_read_only(tmp_path: Path) -> None:
    code = tmp_path / "components"
    code.mkdir(mode=0o500)
    assert numba_cache(tmp_path / "home", code).parent == tmp_path / "home" / "cache"


def test_pods_have_caches_that_any_user_may_write_and_a_name_for_a_user_without_one() -> None:
    variables = pod_variables()
    assert {name: variables[name] for name in QUIET} == QUIET
    paths = {name: value for name, value in variables.items() if name.endswith(("_DIR", "_HOME", "DIR"))}
    assert set(paths) == {
        "TORCHINDUCTOR_CACHE_DIR",
        "TRITON_CACHE_DIR",
        "NUMBA_CACHE_DIR",
        "MPLCONFIGDIR",
        "HF_HOME",
        "XDG_CACHE_HOME",
    }
    assert all(path.startswith("/tmp/longrun/") for path in paths.values())
    assert variables["LOGNAME"]


@pytest.fixture
def without_identity(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without credentials for a store, and without a store in its environment."""
    for name in (*variables.IDENTITIES, *variables.WITHOUT_METADATA, "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"):
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)


@pytest.mark.parametrize(
    ("endpoint", "unsigned"),
    [
        ("http://longrun-store:8333", True),
        ("https://s3.example.internal:9000", True),
        ("", False),
        ("https://s3.eu-central-1.amazonaws.com", False),
        ("https://bucket.vpce-1.s3.cn-north-1.vpce.amazonaws.com.cn", False),
    ],
)
@pytest.mark.usefixtures("without_identity")
def test_a_store_of_one_s_own_is_asked_unsigned_without_credentials_and_amazons_by_its_own_rules(
    endpoint: str, unsigned: bool
) -> None:
    assert variables.unsigned(endpoint) is unsigned


@pytest.mark.parametrize("name", variables.IDENTITIES)
@pytest.mark.usefixtures("without_identity")
def test_with_any_identity_requests_are_signed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "x")
    assert not variables.unsigned("http://longrun-store:8333")


@pytest.mark.usefixtures("without_identity")
def test_no_client_asks_a_clouds_metadata_address_for_a_store_of_one_s_own(monkeypatch: pytest.MonkeyPatch) -> None:
    variables.avoid_metadata("")
    assert not set(variables.WITHOUT_METADATA) & set(os.environ)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9000")
    variables.avoid_metadata("")
    assert {name: os.environ[name] for name in variables.WITHOUT_METADATA} == variables.WITHOUT_METADATA

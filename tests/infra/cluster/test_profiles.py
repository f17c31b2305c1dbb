"""Profiles: read strictly, kept below the home, and without secrets."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.errors import ConfigError
from infra.cluster.profiles import IMAGE_GROUPS, Profile, parse_profile, profile_names, read_profile, to_toml, write_profile
from tests.infra.conftest import sample_profile

PLANTED = "hunter2-planted"


def test_a_profile_reads_back_as_it_was_written(profile: Profile, tmp_path: Path) -> None:
    path = write_profile(tmp_path, "site", profile)
    assert path == tmp_path / "profiles" / "site.toml"
    assert read_profile(tmp_path, "site") == profile
    assert [entry.name for entry in path.parent.iterdir()] == ["site.toml"]


@given(
    context=st.text().filter(str.isprintable),
    secrets=st.dictionaries(st.from_regex(r"[A-Z_]{1,9}", fullmatch=True), st.just("environment:A")),
)
def test_any_text_survives_toml(context: str, secrets: dict[str, str]) -> None:
    profile = sample_profile(context=context, secrets=secrets)
    assert parse_profile(to_toml(profile), "text") == profile


def test_images_are_named_by_registry_group_and_digest(profile: Profile) -> None:
    assert profile.image("train") == f"registry.example.org:5000/longrun/train@sha256:{'1' * 64}"


def test_pods_get_secrets_from_kubernetes_alone(profile: Profile) -> None:
    assert profile.pod_secrets == {"MLFLOW_TRACKING_PASSWORD": ("longrun-mlflow", "password")}
    assert profile.own_secrets == {"FLYTE_TOKEN": "MY_FLYTE_TOKEN"}


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "scheme": ({"endpoint": "flyte.example.org"}, r"Profile\.endpoint is 'flyte\.example\.org'; allowed: http://… or https://… or dns://…"),
    "port": ({"endpoint": "https://flyte:port"}, r"Profile\.endpoint contains .* an invalid host"),
    "root": ({"artifact_root": "/tmp/artifacts"}, r"artifact_root is '/tmp/artifacts'; allowed: s3://… or gs://…"),
    "project": ({"project": "Long Run"}, r"project is 'Long Run'; allowed: lower-case letters"),
    "registry": ({"image_registry": "https://ghcr.io/x"}, r"image_registry is .*without scheme, tag or digest"),
    "tag": ({"image_registry": "ghcr.io/x@sha256:0"}, r"image_registry is .*without scheme, tag or digest"),
    "groups": ({"image_digests": {"core": "sha256:" + "0" * 64}}, r"allowed: core, train, evaluate, and optionally data,"),
    "digest": ({"image_digests": dict.fromkeys(IMAGE_GROUPS, "latest")}, r"image_digests\.core is 'latest'; allowed: sha256:"),
    "kind": ({"gpus": ("V100",)}, r"gpus is \['V100'\]; allowed: each of \('A100', 'H100', 'H200'\) once"),
    "twice": ({"gpus": ("H100", "H100")}, r"once"),
    "workers": ({"workers": -1}, r"workers is -1; allowed: 0 to 4096"),
    "workers alone": ({"workers": 1, "checkpoint_claim": ""}, r"workers is 1; allowed: 0, or also set checkpoint_claim"),
    "size": ({"size": "huge"}, r"size is 'huge'; allowed: trial, default, gpu"),
    "size without GPUs": ({"gpus": (), "size": "gpu"}, r"size is 'gpu'; allowed: trial or default, because gpus is empty"),
    "size with GPUs": ({"size": "default"}, r"size is 'default'; allowed: gpu, because gpus is set"),
    "pod": ({"sizes": {"trainer": {}}}, r"sizes is \['trainer'\]; allowed: driver, cpu, data, train, evaluate, data-head"),
    "size of a pod": ({"sizes": {"train": {"memory": "1"}}}, r"sizes\.train: Size\.memory is '1'"),
    "release": ({"release": "r" * 54}, r"release is .*53 at most"),
    "region": ({"object_store_region": "EU 1"}, r"object_store_region is 'EU 1'; allowed: such as eu-central-1"),
    "share of a worker": ({"gpus_per_worker": True}, r"gpus_per_worker is True; allowed: 1 to 16"),
    "claim": ({"checkpoint_claim": "No Claim"}, r"checkpoint_claim"),
    "context": ({"context": "a\nb"}, r"context"),
    "no address": ({"outside": {"endpoint": "https://flyte.example.org"}}, r"outside is \['endpoint'\]; allowed: only"),
    "address": ({"outside": {"mlflow_uri": "127.0.0.1:5000"}}, r"Profile\.mlflow_uri is '127\.0\.0\.1:5000'; allowed: http://"),
    "variable": ({"secrets": {"NOT A NAME": "environment:A"}}, r"names of environment variables"),
}  # fmt: skip


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_value_is_refused_with_what_is_allowed(case: str, profile: Profile) -> None:
    changes, message = WRONG[case]
    with pytest.raises(ConfigError, match=message) as caught:
        replace(profile, **changes)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "name", ["LONGRUN_PROFILE", "RAY_ADDRESS", "MY_POD_IP", "TYPE", "CPU_LIMITS", "_U_EP_OVERRIDE", "RUN_NAME"]
)
def test_a_secret_is_refused_whose_variable_others_set_in_pods(name: str, profile: Profile) -> None:
    with pytest.raises(
        ConfigError, match=rf"secrets is '{name}'; allowed: names that longrun, Flyte, Ray and KubeRay do not set"
    ):
        replace(profile, secrets={name: "kubernetes:secret/key"})


@pytest.mark.parametrize(("gpus", "size"), [((), "default"), (("H100",), "gpu")])
def test_a_profile_without_a_size_has_that_of_its_gpus(gpus: tuple[str, ...], size: str) -> None:
    assert sample_profile(gpus=gpus).named_size == size


def test_sizes_read_back_as_they_were_written(tmp_path: Path) -> None:
    profile = sample_profile(sizes={"train": {"cores": "8", "memory": "512Gi"}, "train-head": {"cores": "2"}})
    write_profile(tmp_path, "site", profile)
    assert read_profile(tmp_path, "site") == profile
    assert profile.size_of("train").limits == {"cpu": "8", "memory": "512Gi"}


@pytest.mark.parametrize(
    "changes",
    [
        {"secrets": {"PASSWORD": PLANTED}},
        {"secrets": {"PASSWORD": f"kubernetes:{PLANTED}"}},
        {"endpoint": f"https://me:{PLANTED}@flyte.example.org"},
        {"endpoint": f"https://flyte.example.org?token={PLANTED}"},
        {"mlflow_uri": f"https://me:{PLANTED}@mlflow.example.org"},
        {"artifact_root": f"s3://key:{PLANTED}@bucket"},
        {"object_store_endpoint": f"http://key:{PLANTED}@minio"},
        {"outside": {"object_store_endpoint": f"http://key:{PLANTED}@minio"}},
    ],
)
def test_a_secret_in_a_profile_is_refused_and_not_repeated(changes: dict[str, Any], profile: Profile) -> None:
    with pytest.raises(ConfigError) as caught:
        replace(profile, **changes)
    assert PLANTED not in str(caught.value)


def test_a_profile_knows_its_services_by_other_addresses_outside_the_cluster(profile: Profile) -> None:
    here = replace(profile, outside={"mlflow_uri": "http://127.0.0.1:5000"}).from_outside()
    assert here == replace(profile, mlflow_uri="http://127.0.0.1:5000")
    assert profile.from_outside() == profile


def test_an_unknown_key_is_refused_with_those_allowed(profile: Profile) -> None:
    with pytest.raises(ConfigError, match=r"^site: unknown key 'endpiont'; allowed: endpoint, project, domain"):
        parse_profile(f'endpiont = "x"\n{to_toml(profile)}', "site")


def test_missing_keys_are_all_named() -> None:
    with pytest.raises(ConfigError, match=r"^site: missing keys: project, image_registry, image_digests, artifact_root"):
        parse_profile('endpoint = "https://flyte"', "site")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('workers = "two"', "workers is of type str; allowed: an integer"),
        ("project = 3", "project is of type int; allowed: a string"),
        ('gpus = "H100"', "gpus is of type str; allowed: an array of strings"),
        ("gpus = [1]", "gpus is of type list; allowed: an array of strings"),
        ("secrets = {A = 1}", "secrets is of type dict; allowed: a table of strings"),
        ("sizes = {train = 1}", "sizes.train is of type int; allowed: a table of strings"),
        ("sizes = {train = {cores = 4}}", "sizes.train is of type dict; allowed: a table of strings"),
        ("project", "invalid TOML"),
    ],
)
def test_a_mistyped_value_is_refused(line: str, message: str, profile: Profile) -> None:
    lines = [other for other in to_toml(profile).splitlines() if not other.startswith(line.split(" ")[0])]
    table = next((f"[{name}]" for name in ("secrets", "sizes") if line.startswith(f"{name} ")), "")
    text = "\n".join([line, *(lines[: lines.index(table)] if table else lines)])
    with pytest.raises(ConfigError, match=message):
        parse_profile(text, "site")


def test_a_profile_is_not_overwritten_unless_asked(profile: Profile, tmp_path: Path) -> None:
    write_profile(tmp_path, "site", profile)
    with pytest.raises(ConfigError, match="use --replace to overwrite it"):
        write_profile(tmp_path, "site", replace(profile, project="other"))
    assert read_profile(tmp_path).project == "longrun"
    write_profile(tmp_path, "site", replace(profile, project="other"), replace=True)
    assert read_profile(tmp_path).project == "other"


def test_without_a_name_the_only_profile_is_meant(profile: Profile, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="holds 0 profiles; create one with: longrun profile create"):
        read_profile(tmp_path)
    write_profile(tmp_path, "one", profile)
    assert read_profile(tmp_path) == profile
    write_profile(tmp_path, "two", profile)
    assert profile_names(tmp_path) == ["one", "two"]
    with pytest.raises(ConfigError, match="holds 2 profiles; choose one with --profile: one, two"):
        read_profile(tmp_path)
    with pytest.raises(ConfigError, match=r"no profile 'three' in .*; existing profiles: one, two"):
        read_profile(tmp_path, "three")


def test_a_profile_knows_the_name_of_its_file_which_does_not_repeat_it(profile: Profile, tmp_path: Path) -> None:
    path = write_profile(tmp_path, "site", profile)
    assert (read_profile(tmp_path).name, read_profile(tmp_path, "site").name) == ("site", "site")
    assert to_toml(read_profile(tmp_path)) == to_toml(profile) == path.read_text()
    with pytest.raises(ConfigError, match="unknown key 'name'"):
        parse_profile(f'name = "site"\n{to_toml(profile)}', "text")


@pytest.mark.parametrize("name", ["../outside", "", "a/b", "A", ".hidden"])
def test_a_name_cannot_lead_out_of_the_home(name: str, profile: Profile, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="profile name"):
        write_profile(tmp_path, name, profile)
    assert list(tmp_path.rglob("*.toml")) == []

"""`longrun doctor --cluster` against a cluster's interfaces over real HTTP: one finding a line, with every failure."""

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import infra.cluster.client
import infra.cluster.services
from components.errors import ClusterError
from infra.cluster.client import ClusterClient
from infra.cluster.profiles import Profile, write_profile
from infra.variables import IDENTITIES
from tests.fake_cluster.flyte_service import FakeFlyte
from tests.fake_cluster.kubernetes_api import NAMESPACE, FakeCluster, api_version, listing, node, resource
from tests.fake_cluster.namespace import answering, furnish
from tests.infra.conftest import sample_profile
from tests.infra.s3_server import BUCKET, bucket
from tests.servers import free_port
from tests.training_configs import with_training
from workflows.cli.main import app
from workflows.commands.cluster import doctor as cluster_doctor
from workflows.commands.cluster.doctor import asked_at_once, examine_cluster, questions
from workflows.commands.doctor import Finding
from workflows.recipe import Recipe, load_recipe

pytestmark = pytest.mark.long

PLANTED = "planted-password"

WELL = [{"what": what, "observed": "read", "problem": ""} for what in ("object store", "mlflow")]
"""What a pod answers from inside where all is well."""


LIMITS = (infra.cluster.client.SECONDS, cluster_doctor.MAX_SECONDS)


def test_the_limits_keep_the_command_below_five_seconds() -> None:
    assert LIMITS[0] < LIMITS[1] < 5


@pytest.fixture(autouse=True)
def long_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    """What answers is waited for, however busy the machine is."""
    monkeypatch.setattr(infra.cluster.client, "SECONDS", 300.0)
    monkeypatch.setattr(cluster_doctor, "SECONDS", 300.0)
    monkeypatch.setattr(cluster_doctor, "MAX_SECONDS", 300.0)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """An S3 server with the bucket."""
    with bucket(tmp_path_factory.mktemp("s3") / "log") as url:
        yield url


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeCluster]:
    """A cluster where everything is well."""
    with FakeCluster().serving() as fake:
        fake.answers["/version"] = version("mlflow")
        del fake.answers[f"{NAMESPACE}/pods"]
        furnish(fake.server)
        fake.server.kubelet = answering(fake.server, WELL)
        fake.write_kubeconfig(tmp_path / "kubeconfig", PLANTED)
        monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
        yield fake


@pytest.fixture
def profile(cluster: FakeCluster, store: str) -> Profile:
    """The profile of that cluster."""
    return sample_profile(
        endpoint=cluster.url,
        mlflow_uri=cluster.url,
        image_registry=f"{cluster.host}/longrun",
        artifact_root=f"s3://{BUCKET}/longrun",
        object_store_endpoint=store,
    )


def tiny(workers: int = 1) -> Recipe:
    recipe = load_recipe("tiny")
    return replace(recipe, pretraining=with_training(replace(recipe.pretraining, batch_size=4 * workers), workers=workers))


def finding_of(profile: Profile, what: str, recipe: Recipe | None = None) -> Finding:
    question = questions(ClusterClient(profile), recipe or tiny())[what]
    with asked_at_once({what: question}) as findings:
        pass
    return findings[0]


@pytest.fixture
def whole(profile: Profile) -> Iterator[Profile]:
    """The profile with a Flyte that has the project."""
    with FakeFlyte().serving() as flyte:
        yield replace(profile, endpoint=flyte.url, secrets={})


def test_a_healthy_cluster_is_ok_in_every_line(whole: Profile) -> None:
    findings = examine_cluster(whole, tiny())
    assert [finding for finding in findings if finding["state"] != "ok"] == []
    assert [finding["what"] for finding in findings] == [
        "kubernetes",
        "ray kinds",
        "rights",
        "service account",
        "storage class",
        "checkpoint claim",
        "gpus",
        "nodes",
        "quota",
        "flyte",
        "flyte project",
        "mlflow",
        "object store",
        *(f"image: {group}" for group in ("core", "train", "evaluate")),
        "inside: pod",
        "inside: object store",
        "inside: mlflow",
    ]
    observed = {finding["what"]: finding["found"] for finding in findings}
    assert observed["gpus"].startswith("H100, A100: 16 on ready nodes, 13 free;")


def replaced(path: str, answer: Any) -> Callable[[FakeCluster], None]:
    return lambda fake: fake.answers.update({path: answer})


CLAIM = f"{NAMESPACE}/persistentvolumeclaims/checkpoints"
CORE_IMAGE = f"/v2/longrun/core/manifests/sha256:{'0' * 64}"
ACCOUNT = f"{NAMESPACE}/serviceaccounts/longrun-tasks"
QUOTAS = f"{NAMESPACE}/resourcequotas"


def without_account(fake: FakeCluster) -> None:
    del fake.answers[ACCOUNT]
    del fake.server.objects["serviceaccounts", "longrun", "longrun-tasks"]


CASES: dict[str, tuple[str, Callable[[FakeCluster], None], str, str, str]] = {
    "old version": ("kubernetes", replaced("/version/", api_version("24")), "failed", "version 1.24", "upgrade"),
    "refused token": ("kubernetes", replaced("/version/", 401), "failed", "answered 401", "log in to the cluster again"),
    "broken server": ("kubernetes", replaced("/version/", 500), "failed", "answered 500", "kubeconfig"),
    "no operator": ("ray kinds", replaced("/apis/ray.io/v1", 404), "failed", "has no rayclusters, rayjobs", "KubeRay"),
    "half an operator": (
        "ray kinds",
        replaced(
            "/apis/ray.io/v1", {"kind": "APIResourceList", "groupVersion": "ray.io/v1", "resources": [resource("rayclusters")]}
        ),
        "failed",
        "has no rayjobs",
        "custom resource definitions",
    ),
    "no logs": (
        "rights",
        lambda fake: fake.refused_rights.add("pods/log"),
        "warning",
        "no right to get pods/log",
        "observer role",
    ),
    "no nodes": (
        "rights",
        lambda fake: fake.refused_rights.add("nodes"),
        "warning",
        "no right to list nodes everywhere",
        "observer role",
    ),
    "no chart": (
        "service account",
        without_account,
        "failed",
        "no service account longrun-tasks in longrun",
        "longrun deploy",
    ),
    "hidden account": (
        "service account",
        replaced(ACCOUNT, 403),
        "warning",
        "no right to get",
        "the right to get serviceaccounts",
    ),
    "no default": (
        "storage class",
        replaced("/apis/storage.k8s.io/v1/storageclasses", listing()),
        "warning",
        "no default",
        "mark a storage class as default",
    ),
    "classes refused": (
        "storage class",
        replaced("/apis/storage.k8s.io/v1/storageclasses", 403),
        "failed",
        "answered 403",
        "observer role",
    ),
    "no claim": ("checkpoint claim", replaced(CLAIM, 404), "failed", "no claim checkpoints", "storage.checkpoints"),
    "pending claim": (
        "checkpoint claim",
        replaced(CLAIM, {"metadata": {"name": "c"}, "spec": {"accessModes": ["ReadWriteMany"]}, "status": {"phase": "Pending"}}),
        "failed",
        "is Pending",
        "the claim must be Bound",
    ),
    "no gpus": (
        "gpus",
        replaced("/api/v1/nodes", listing(node("x", "NVIDIA-H200", 8))),
        "failed",
        "0 on ready nodes",
        "add GPU nodes",
    ),
    "gpus taken": (
        "gpus",
        replaced("/api/v1/nodes", listing(node("one", "NVIDIA-H100-80GB-HBM3", 8))),
        "warning",
        "8 on ready nodes, 5 free",
        "waits",
    ),
    "nodes refused": ("gpus", replaced("/api/v1/nodes", 403), "failed", "answered 403", "observer role"),
    "pods of others hidden": ("gpus", replaced("/api/v1/pods", 403), "ok", "16 free (counting only pods in longrun)", ""),
    "no quota": ("quota", replaced(QUOTAS, listing()), "warning", "longrun has no quota", "quota.hard"),
    "small quota": (
        "quota",
        replaced(QUOTAS, listing({"metadata": {"name": "q"}, "status": {"hard": {"requests.nvidia.com/gpu": "4"}}})),
        "failed",
        "the quota allows 4 GPUs, and the profile requests 8",
        "increase quota.hard",
    ),
    "flyte down": ("flyte", replaced("/healthz", 503), "failed", "answered 503", "endpoint"),
    "flyte elsewhere": ("flyte", replaced("/healthz", 404), "failed", "answered 404", "endpoint"),
    "mlflow down": ("mlflow", replaced("/health", 502), "failed", "answered 502", "mlflow_uri"),
    "older mlflow": ("mlflow", replaced("/version", "2.0.0"), "warning", "version 2.0.0", "clients have"),
    "mlflow wants a user": ("mlflow", replaced("/version", 401), "ok", "only to logged-in users", ""),
    "no image": ("image: core", replaced(CORE_IMAGE, 404), "failed", "is not in the registry", "make push"),
    "private registry": (
        "image: core",
        lambda fake: setattr(fake, "private_registry", True),
        "warning",
        "requires credentials",
        "pull secret",
    ),
    "broken registry": ("image: core", replaced(CORE_IMAGE, 500), "warning", "answered 500", "image_registry"),
}


@pytest.mark.parametrize("case", CASES)
def test_each_failure_has_its_line_its_state_and_its_remedy(case: str, cluster: FakeCluster, profile: Profile) -> None:
    what, spoil, state, message, remedy = CASES[case]
    spoil(cluster)
    finding = finding_of(profile, what)
    assert finding["state"] == state
    assert message in finding["found"]
    assert remedy in finding["remedy"]
    assert (finding["remedy"] == "") == (state == "ok")
    assert all("\n" not in text for text in finding.values())


def test_a_recipe_of_more_workers_than_the_profile_has_gpus_is_refused(profile: Profile) -> None:
    finding = finding_of(profile, "gpus", tiny(workers=9))
    assert (finding["state"], finding["found"]) == (
        "failed",
        "recipe tiny trains on 9 workers, and the pods of the profile have 8 GPUs",
    )


def test_a_profile_without_gpus_or_claim_asks_for_none(profile: Profile) -> None:
    plain = replace(profile, gpus=(), size="default", checkpoint_claim="")
    assert finding_of(plain, "gpus")["state"] == "ok"
    assert finding_of(plain, "checkpoint claim")["state"] == "warning"


def test_workers_without_the_claim_that_they_share_are_a_failure(profile: Profile, cluster: FakeCluster) -> None:
    alone, shared = replace(profile, workers=0), replace(profile, workers=2)
    cluster.answers[CLAIM] = {
        "metadata": {"name": "c"},
        "spec": {"accessModes": ["ReadWriteOnce"]},
        "status": {"phase": "Bound"},
    }
    assert finding_of(alone, "checkpoint claim")["state"] == "ok"
    assert finding_of(shared, "checkpoint claim")["state"] == "failed"
    cluster.answers[CLAIM] = 404
    finding = finding_of(shared, "checkpoint claim")
    assert (finding["state"], "storage.checkpoints" in finding["remedy"]) == ("failed", True)


def test_a_project_that_flyte_does_not_have_is_named(whole: Profile) -> None:
    assert finding_of(whole, "flyte project")["state"] == "ok"
    finding = finding_of(replace(whole, project="absent"), "flyte project")
    assert (finding["state"], finding["found"]) == ("warning", "Flyte has no project absent")


def test_without_keys_on_this_machine_the_answer_from_inside_is_enough(
    whole: Profile, monkeypatch: pytest.MonkeyPatch, store: str
) -> None:
    for name in IDENTITIES:
        monkeypatch.delenv(name, raising=False)
    findings = {finding["what"]: finding for finding in examine_cluster(whole, tiny())}
    assert (findings["object store"]["state"], findings["inside: object store"]["state"]) == ("note", "ok")
    assert "169.254" not in findings["object store"]["found"]
    assert not [finding for finding in findings.values() if finding["state"] == "failed"]


def test_a_kubeconfig_that_is_missing_or_has_no_such_context_is_named(
    profile: Profile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "other" in finding_of(replace(profile, context="other"), "kubernetes")["found"]
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "absent"))
    finding = finding_of(profile, "kubernetes")
    assert (finding["state"], "no usable kubeconfig" in finding["found"]) == ("failed", True)


def test_services_where_nobody_listens_are_named(profile: Profile) -> None:
    nowhere = f"http://127.0.0.1:{free_port()}"
    gone = replace(
        profile, endpoint=nowhere, mlflow_uri=nowhere, object_store_endpoint=nowhere, image_registry="127.0.0.1:9/longrun"
    )
    findings = {what: finding_of(gone, what) for what in ("flyte", "mlflow", "object store", "image: core")}
    for what in ("flyte", "mlflow", "object store"):
        assert findings[what]["state"] == "failed", findings[what]
    assert f"no answer from {nowhere}/healthz" in findings["flyte"]["found"]
    assert "Connection refused" in findings["flyte"]["found"]
    assert findings["image: core"]["state"] == "warning"


def test_a_missing_bucket_is_named(profile: Profile) -> None:
    finding = finding_of(replace(profile, artifact_root="s3://absent/x"), "object store")
    assert (finding["state"], "NoSuchBucket" in finding["found"]) == ("failed", True)


def test_a_service_that_never_answers_is_given_up(
    cluster: FakeCluster, profile: Profile, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(infra.cluster.client, "SECONDS", 0.2)
    cluster.silent |= {"/healthz", "/version/"}
    with pytest.raises(ClusterError, match=r"no answer from .*/healthz: .*timed out"):
        infra.cluster.services.flyte_health(profile)
    with pytest.raises(ClusterError, match=r"no answer from .*timed out"):
        infra.cluster.client.ClusterClient(profile).version()


def test_what_has_not_answered_at_the_limit_has_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cluster_doctor, "MAX_SECONDS", 0.05)
    with asked_at_once({"name": lambda what: threading.Event().wait() or {"what": what}}) as findings:
        pass
    (finding,) = findings
    assert (finding["state"], finding["found"]) == ("failed", "no answer within 0.05 s")


def doctor(home: Path, *words: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["doctor", "--cluster", "--recipe", "tiny", "--home", str(home), *words])
    return result.exit_code, result.output


def test_the_command_prints_a_line_a_finding_and_fails_where_one_failed(
    cluster: FakeCluster, whole: Profile, tmp_path: Path
) -> None:
    write_profile(tmp_path, "site", whole)
    code, text = doctor(tmp_path)
    assert (code, len(text.splitlines())) == (0, 19), text
    cluster.answers["/version/"] = api_version("20")
    code, text = doctor(tmp_path, "--profile", "site", "--json")
    assert code == 1
    assert {finding["what"] for finding in json.loads(text) if finding["state"] == "failed"} == {"kubernetes"}


def test_no_secret_is_printed_whatever_fails(
    cluster: FakeCluster, profile: Profile, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_SECRET_ACCESS_KEY", "MY_FLYTE_TOKEN", "MLFLOW_TRACKING_PASSWORD"):
        monkeypatch.setenv(name, PLANTED)
    write_profile(tmp_path, "site", profile)
    for answers in (cluster.answers.copy(), dict.fromkeys(cluster.answers, 401), dict.fromkeys(cluster.answers, 500)):
        cluster.answers.clear()
        cluster.answers.update(answers)
        _, text = doctor(tmp_path)
        assert "kubernetes" in text
        assert PLANTED not in text

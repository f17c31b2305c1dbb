"""`longrun run --on cluster` against a Flyte service over a real connection."""

import datetime
import io
import ipaddress
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from connectrpc.code import Code
from connectrpc.errors import ConnectError
from google.protobuf.json_format import MessageToDict, MessageToJson

import infra.flyte.runs
import infra.flyte.service
from components.errors import (
    ClusterError,
    ConfigError,
    EndpointError,
    ImageMissing,
    LoginRefused,
    QuotaExceeded,
)
from infra.bundle import PROJECT_ROOT, code_files
from infra.cluster.process_profile import CARRIER
from infra.cluster.profiles import Profile, parse_profile, write_profile
from tests.fake_cluster.flyte_service import FakeFlyte
from tests.fake_cluster.kubernetes_api import FakeCluster
from tests.infra.conftest import sample_profile
from tests.servers import free_port
from tests.workflows.commands.cluster.conftest import PLANTED, RUN, longrun, reading, submitted
from workflows.recipe import Recipe, from_json, load_recipe

pytestmark = pytest.mark.long


def files_of(bundle: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(bundle)) as archive:
        return {member.name.removeprefix("./"): archive.extractfile(member).read() for member in archive if member.isfile()}  # type: ignore[union-attr]


# What is submitted


@pytest.fixture(scope="module")
def submission(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[FakeFlyte, subprocess.CompletedProcess[str], Path]]:
    """One submission with planted secrets around it, for the tests that only look at it."""
    home = tmp_path_factory.mktemp("submission")
    with FakeFlyte().serving() as flyte, FakeCluster().serving() as registry:
        site = sample_profile(
            endpoint=flyte.url,
            image_registry=f"{registry.host}/longrun",
            secrets={"MLFLOW_TRACKING_PASSWORD": "kubernetes:longrun-mlflow/password"},
        )
        write_profile(home, "site", site)
        words = ("run", "tiny", "--on", "cluster", "--set", "pretraining.learning_rate=0.003", "--until", "tokenizer")
        yield flyte, longrun(home, *words, "--fresh", "curation"), home


Submission = tuple[FakeFlyte, subprocess.CompletedProcess[str], Path]


def test_a_submission_prints_the_url_and_the_next_commands_and_ends(submission: Submission) -> None:
    flyte, done, home = submission
    assert done.returncode == 0, done.stderr
    (name,) = re.findall(r"^run (\S+): ", done.stdout, re.MULTILINE)
    assert f"run {name}: {flyte.url}/v2/domain/development/project/longrun/runs/r{name}\n" in done.stdout
    for word in ("status", "logs", "cancel"):
        assert f"  {sys.executable} -m workflows.cli {word} {name} --home {home}" in done.stdout
    assert " lineage" not in done.stdout
    assert done.stderr == ""


def test_the_run_is_created_once_under_its_own_name(submission: Submission) -> None:
    flyte, done, _ = submission
    (request,) = flyte.requests("create_run")
    assert request.run_id.name in flyte.runs
    assert (request.run_id.project, request.run_id.domain) == ("longrun", "development")
    assert len(request.run_id.name) <= 30
    assert request.run_id.name.removeprefix("r") in done.stdout


def test_the_recipe_travels_as_json_with_its_overrides(submission: Submission) -> None:
    flyte, _, _ = submission
    (request,) = flyte.requests("upload_inputs")
    inputs = {literal.name: literal.value for literal in request.inputs.literals}
    sent = from_json(inputs["recipe"].scalar.primitive.string_value, Recipe)
    assert sent == load_recipe("tiny", ["pretraining.learning_rate=0.003"])
    assert inputs["until"].scalar.primitive.string_value == "tokenizer"
    assert [value.scalar.primitive.string_value for value in inputs["fresh"].collection.literals] == ["curation", "check_corpus"]


OWN = {
    "recipes/mine.py": """
from dataclasses import replace

from components.extensions import Extension
from workflows.recipes.tiny import tiny


def mine():
    base = tiny()
    task = Extension(code="tasks.py:Doubling", values={"numbers": 3})
    return replace(base, name="mine", evaluation=replace(base.evaluation, tasks=(task,)))
""",
    "recipes/tasks.py": """
from pathlib import Path

import wording


class Doubling:
    def __init__(self, numbers: int) -> None:
        self.numbers, self.verb = numbers, Path(__file__).with_name("verb.txt").read_text()

    def items(self):
        for n in range(self.numbers):
            yield {"context": wording.question(n, self.verb), "choices": [f" {2 * n}", " no"], "gold": 0}
""",
    "recipes/wording.py": "def question(n, verb):\n    return f'Twice {n} {verb}'\n",
    "recipes/verb.txt": "is",
}

IN_A_POD = """
import sys
from components.artifacts import OmissionTally
from components.evaluation import own_tasks
from workflows.recipe import Recipe, from_json

tasks = own_tasks.build(from_json(sys.stdin.read(), Recipe).evaluation.tasks, 10, OmissionTally())
print([item["context"] for item in tasks.choices["doubling"]])
"""


def test_code_of_the_recipe_s_own_reaches_a_pod_that_has_the_bundle_and_the_inputs_alone(
    home: Path, flyte: FakeFlyte, tmp_path: Path
) -> None:
    for name, text in OWN.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    done = longrun(home, "run", str(tmp_path / "recipes" / "mine.py"), "--on", "cluster")
    assert done.returncode == 0, done.stderr
    shutil.rmtree(tmp_path / "recipes")
    (request,) = flyte.requests("upload_inputs")
    (recipe,) = [value.value.scalar.primitive.string_value for value in request.inputs.literals if value.name == "recipe"]
    assert str(tmp_path) not in recipe
    with tarfile.open(fileobj=io.BytesIO(next(iter(flyte.bundles.values())))) as archive:
        archive.extractall(tmp_path / "pod", filter="data")
    variables = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [sys.executable, "-c", IN_A_POD]
    pod = subprocess.run(command, cwd=tmp_path / "pod", env=variables, input=recipe, capture_output=True, text=True, check=False)
    assert pod.stdout == "['Twice 0 is', 'Twice 1 is', 'Twice 2 is']\n", pod.stderr


def driver_container(request: Any) -> dict[str, Any]:
    return MessageToDict(request.task_spec.task_template.k8s_pod.pod_spec)["containers"][0]


def test_the_driver_carries_the_profile_and_secrets_as_references(submission: Submission) -> None:
    flyte, _, home = submission
    variables = {variable["name"]: variable for variable in driver_container(flyte.requests("create_run")[0])["env"]}
    carried = parse_profile(variables[CARRIER]["value"], "pod")
    assert carried == parse_profile((home / "profiles" / "site.toml").read_text(), "home")
    assert (carried.artifact_root, carried.mlflow_uri) == ("s3://artifacts/longrun", "https://mlflow.example.org")
    reference = variables["MLFLOW_TRACKING_PASSWORD"]["valueFrom"]["secretKeyRef"]
    assert reference == {"name": "longrun-mlflow", "key": "password"}


def test_the_bundle_is_the_code_of_the_packages_and_their_locks_and_the_driver_gets_it(submission: Submission) -> None:
    flyte, _, _ = submission
    ((name, bundle),) = flyte.bundles.items()
    assert set(files_of(bundle)) == {str(Path(path).relative_to(PROJECT_ROOT)) for path in code_files()}
    arguments = driver_container(flyte.requests("create_run")[0])["args"]
    assert arguments[arguments.index("--tgz") + 1] == f"s3://bucket/{name}"
    assert arguments[arguments.index("--dest") + 1] == "."


def test_the_bundle_alone_serialises_the_same_tasks(submission: Submission, tmp_path: Path) -> None:
    flyte, _, home = submission
    with tarfile.open(fileobj=io.BytesIO(next(iter(flyte.bundles.values())))) as archive:
        archive.extractall(tmp_path, filter="data")
    code = "import workflows.pipeline as p, infra.caching as c; print(p.__file__, c.environment_digest())"
    variables = {**os.environ, CARRIER: (home / "profiles" / "site.toml").read_text()}
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=variables, capture_output=True, text=True, check=False)
    from infra.caching import environment_digest

    assert done.stdout.split() == [str(tmp_path / "workflows" / "pipeline.py"), environment_digest()], done.stderr


def test_no_planted_secret_is_in_what_was_printed_sent_kept_or_bundled(submission: Submission) -> None:
    flyte, done, home = submission
    kept = b"".join(path.read_bytes() for path in home.rglob("*") if path.is_file())
    sent = "".join(MessageToJson(request) for _, request in flyte.asked) + json.dumps(flyte.headers)
    bundled = b"".join(files_of(next(iter(flyte.bundles.values()))).values())
    assert PLANTED not in done.stdout + done.stderr + sent
    assert PLANTED.encode() not in kept
    assert PLANTED.encode() not in bundled.replace(Path(__file__).read_bytes(), b"")
    assert len(flyte.asked) >= 4


def test_nothing_of_this_machine_is_in_the_request(submission: Submission) -> None:
    flyte, _, home = submission
    sent = "".join(MessageToJson(request) for _, request in flyte.asked)
    assert [path for path in (str(PROJECT_ROOT), str(home), str(Path.home()) + "/", sys.prefix) if path in sent] == []


def test_flyte_keeps_what_it_remembers_in_the_home(submission: Submission) -> None:
    _, _, home = submission
    assert (home / "flyte" / "local-cache" / "cache.db").is_file()


# Refusals


def refused(home: Path) -> str:
    """What the command says in its one line."""
    done = longrun(home, "run", "tiny", "--on", "cluster")
    assert done.returncode == 1, done.stdout
    (line,) = done.stderr.splitlines()
    assert PLANTED not in line
    return line


def test_an_endpoint_where_nobody_listens_is_named(home: Path, profile: Profile) -> None:
    nowhere = f"http://127.0.0.1:{free_port()}"
    write_profile(home, "site", sample_profile(endpoint=nowhere, image_registry=profile.image_registry, secrets={}), replace=True)
    line = refused(home)
    assert f"no answer from Flyte at {nowhere}" in line
    assert "check the profile's endpoint" in line


def test_an_endpoint_of_another_service_is_named(home: Path, profile: Profile, registry: FakeCluster) -> None:
    write_profile(
        home, "site", sample_profile(endpoint=registry.url, image_registry=profile.image_registry, secrets={}), replace=True
    )
    assert f"the server at {registry.url} is not a Flyte 2 service" in refused(home)


CREATE = "create_run"
REFUSALS: dict[str, tuple[str, ConnectError, type[ClusterError], str]] = {
    "no login": (
        "select_cluster",
        ConnectError(Code.UNAUTHENTICATED, "token is missing"),
        LoginRefused,
        'to the profile: FLYTE_TOKEN = "environment:VARIABLE" below [secrets]',
    ),
    "no rights": (CREATE, ConnectError(Code.PERMISSION_DENIED, "user may not"), LoginRefused, "rights in project longrun"),
    "no project": (CREATE, ConnectError(Code.NOT_FOUND, "project longrun not found"), ClusterError, "project longrun, domain"),
    "quota": (
        CREATE,
        ConnectError(Code.INTERNAL, 'pods "x" is forbidden: exceeded quota: longrun, requested: requests.cpu=8'),
        QuotaExceeded,
        "raise quota.hard",
    ),
    "no quota for limits": (
        CREATE,
        ConnectError(Code.FAILED_PRECONDITION, "failed quota: longrun: must specify limits.cpu"),
        QuotaExceeded,
        "raise quota.hard",
    ),
    "exhausted": (CREATE, ConnectError(Code.RESOURCE_EXHAUSTED, "too many runs"), QuotaExceeded, "larger quota"),
    "image": (CREATE, ConnectError(Code.INVALID_ARGUMENT, "ErrImagePull: manifest unknown"), ImageMissing, "push the images"),
    "other": (CREATE, ConnectError(Code.INTERNAL, "disk\nfull"), ClusterError, "longrun doctor --cluster"),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_each_refusal_is_one_error_of_ours_with_its_remedy(case: str, profile: Profile, flyte: FakeFlyte) -> None:
    call, answer, kind, remedy = REFUSALS[case]
    flyte.refusals[call] = answer
    with pytest.raises(kind) as caught:
        infra.flyte.runs.FlyteRuns(profile).submit(_double(), 2, name=f"r{RUN}")
    assert type(caught.value) is kind
    assert remedy in str(caught.value)
    assert " ".join(answer.message.split()) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_first_submission_makes_the_project(profile: Profile, flyte: FakeFlyte) -> None:
    flyte.projects.clear()
    infra.flyte.runs.FlyteRuns(profile).submit(_double(), 2, name=f"r{RUN}")
    assert list(flyte.projects) == ["longrun"]
    assert [call for call, _ in flyte.asked if call in {"create_project", CREATE}] == ["create_project", CREATE]


def test_a_project_that_flyte_does_not_know_is_a_refusal_that_names_what_makes_it(profile: Profile, flyte: FakeFlyte) -> None:
    flyte.projects.clear()
    flyte.refusals["get_project"] = ConnectError(Code.PERMISSION_DENIED, "admins only")
    with pytest.raises(ClusterError, match='project "longrun" not found; create it with: longrun deploy'):
        infra.flyte.runs.FlyteRuns(profile).submit(_double(), 2, name=f"r{RUN}")


def _double() -> Any:
    import flyte

    environment = flyte.TaskEnvironment(
        name="test", image=flyte.Image.from_base("registry.example.org/x@sha256:" + "0" * 64), include=(__file__,)
    )

    @environment.task
    async def double(number: int) -> int:
        return 2 * number

    return double


def test_the_bundle_goes_in_large_pieces_because_somebody_watches(profile: Profile, flyte: FakeFlyte) -> None:
    from flyte.remote import _progress

    watched = []

    class Watching(FakeFlyte):
        async def note(self, call: str, request: Any) -> None:
            watched.append((call, _progress.current_handler() is not None))
            await super().note(call, request)

    with Watching().serving() as service:
        infra.flyte.runs.FlyteRuns(replace(profile, endpoint=service.url)).submit(_double(), 2, name=f"r{RUN}")
    assert ("create_upload_location", True) in watched
    assert _progress.current_handler() is None
    assert _progress.CHUNK_SIZE == 2**20


def test_a_bundle_that_cannot_be_stored_is_named_without_its_signature(profile: Profile, flyte: FakeFlyte) -> None:
    flyte.put_status = 403
    with pytest.raises(ClusterError, match="Failed to upload") as caught:
        infra.flyte.runs.FlyteRuns(profile).submit(_double(), 2, name=f"r{RUN}")
    assert "Signature" not in str(caught.value)


def test_a_refused_run_is_remembered_as_one_that_never_started(home: Path, flyte: FakeFlyte) -> None:
    flyte.refusals[CREATE] = ConnectError(Code.PERMISSION_DENIED, "user may not")
    assert "refused the request: user may not" in refused(home)
    assert "refused" in reading(home, "runs")[1]
    assert "was not started: " in reading(home, "status", "latest")[1]


def test_an_image_that_its_registry_has_not_stops_the_submission_before_flyte_is_asked(
    home: Path, flyte: FakeFlyte, registry: FakeCluster
) -> None:
    registry.answers[f"/v2/longrun/train/manifests/sha256:{'1' * 64}"] = 404
    line = refused(home)
    assert f"{registry.host}/longrun/train@sha256:1111" in line
    assert "push the images with make push" in line
    assert flyte.asked == []


def test_a_registry_that_wants_credentials_does_not_stop_it(home: Path, registry: FakeCluster) -> None:
    registry.private_registry = True
    submitted(home)


def test_a_service_that_never_answers_is_given_up(profile: Profile, flyte: FakeFlyte, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(infra.flyte.service, "SECONDS", 0.2)
    flyte.silent.add("get_run_details")
    with pytest.raises(EndpointError, match=r"no answer from Flyte at .* within"):
        infra.flyte.runs.FlyteRuns(profile).state("r1")


def test_a_token_is_never_sent_in_clear(flyte: FakeFlyte) -> None:
    with pytest.raises(ConfigError, match=r"http:// endpoint"):
        infra.flyte.runs.FlyteRuns(sample_profile(endpoint=flyte.url)).state("r1")
    assert flyte.asked == []


def test_a_token_that_is_not_set_is_named() -> None:
    with pytest.raises(ConfigError, match="MY_FLYTE_TOKEN, from which the profile takes FLYTE_TOKEN, is not set"):
        infra.flyte.runs.FlyteRuns(sample_profile()).state("r1")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("run", "tiny", "--on", "moon"), "allowed: here, cluster"),
        (("run", "tiny", "--follow"), "add --on cluster"),
        (("run", "tiny", "--profile", "site"), "add --on cluster"),
        (("run", "tiny", "--on", "cluster", "--profile", "other"), "no profile 'other'"),
        (("status", "nothing"), "matches 0 runs"),
    ],
)
def test_wrong_words_are_refused_with_what_is_allowed(words: tuple[str, ...], message: str, home: Path) -> None:
    assert message in reading(home, *words)[1]


def certificate(directory: Path) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 that signs itself, and its key."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.datetime.now(datetime.UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    plain = serialization.NoEncryption()
    (directory / "key.pem").write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain))
    (directory / "certificate.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    return directory / "certificate.pem", directory / "key.pem"


def test_a_token_is_sent_over_tls_and_shown_nowhere(tmp_path: Path, registry: FakeCluster) -> None:
    trusted, key = certificate(tmp_path)
    with FakeFlyte().serving(ssl_certfile=trusted, ssl_keyfile=key) as flyte:
        secrets = {"FLYTE_TOKEN": "environment:MY_FLYTE_TOKEN"}
        site = sample_profile(endpoint=flyte.url, image_registry=f"{registry.host}/longrun", secrets=secrets)
        write_profile(tmp_path / "home", "site", site)
        flyte.runs.add(f"r{RUN}")
        flyte.logs["a0"] = ["a line"]
        shown = []
        for words in (("status", RUN), ("logs", RUN), ("cancel", RUN), ("status", "20260102-000000-dead")):
            done = longrun(tmp_path / "home", *words, SSL_CERT_FILE=str(trusted))
            shown.append(done.stdout + done.stderr)
    assert {headers.get("authorization") for headers in flyte.headers} == {f"Bearer {PLANTED}"}
    assert [line for line in shown if PLANTED in line] == []
    assert ["running" in shown[0], shown[1], "cancelling run" in shown[2]] == [True, "a line\n", True], shown

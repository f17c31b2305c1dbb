"""What the Containerfile installs, and as whom its images run."""

import re
from pathlib import Path

import pytest

from infra.bundle import PROJECT_ROOT
from infra.sbom import BUILDS, IMAGES, locks

TEXT = (PROJECT_ROOT / "infra" / "containers" / "Containerfile").read_text().replace("\\\n", " ")
LOCKS = {path.stem for path in (PROJECT_ROOT / "infra" / "locks").glob("*.txt")}

Stage = tuple[str, list[str]]


def stages(text: str) -> dict[str, Stage]:
    """Each stage's parent and instructions."""
    pieces = re.split(r"^FROM (\S+) AS (\S+)\n", text, flags=re.MULTILINE)[1:]
    bodies = [[line for line in body.splitlines() if line and not line.startswith("#")] for body in pieces[2::3]]
    return {name: (parent, body) for parent, name, body in zip(pieces[::3], pieces[1::3], bodies, strict=True)}


def lineage(text: str, name: str) -> list[str]:
    """The instructions of a stage and of those that it stands on, oldest first."""
    known = stages(text)
    return [*lineage(text, known[name][0]), *known[name][1]] if name in known else []


def unlocked(text: str) -> list[str]:
    """Instructions that install something which no lock names."""
    installing = [
        line for line in text.splitlines() if re.search(r"\b(pip3?|uv|apt|apt-get|apk|dnf|conda|npm|curl|wget)\b", line)
    ]
    removing = r"RUN python -m pip uninstall [-a-z= ]+&& groupadd [^&]+&& useradd [^&]+$"
    wrong = [line for line in installing if not re.match(removing, line)]
    calls = [line for line in text.splitlines() if "install.sh" in line and line.startswith("RUN")]
    for line in calls:
        layer, *names = line.partition("install.sh ")[2].split()
        known = [name for name in names if {name.replace("${TORCH}", build) for build in BUILDS} <= LOCKS]
        wrong += [line] if known != names or not (names or layer == "bootstrap") else []
    return [*wrong, *(line for line in text.splitlines() if re.match(r"ADD\b", line))]


def layers(text: str, image: str) -> list[str]:
    """The directories of /layers that an image is made of, oldest first."""
    return re.findall(r"^COPY --from=build-(\w+) /layers/\1 /opt/longrun$", "\n".join(lineage(text, image)), re.MULTILINE)


def test_only_what_the_locks_name_is_installed() -> None:
    assert unlocked("\n".join(line for line in TEXT.splitlines() if not line.startswith("#"))) == []


@pytest.mark.parametrize(
    "line",
    [
        "RUN /opt/installer/bin/uv pip install requests",
        "RUN sh /opt/installer/install.sh core requests",
        "RUN sh /opt/installer/install.sh core",
        "RUN apt-get install --yes gcc",
        "ADD https://example.com/tool /usr/bin/tool",
    ],
)
def test_an_installation_beside_the_locks_is_found(line: str) -> None:
    assert unlocked(line) == [line]


@pytest.mark.parametrize("build", BUILDS)
@pytest.mark.parametrize("image", IMAGES)
def test_an_image_holds_the_locks_that_its_bill_of_materials_names(image: str, build: str) -> None:
    steps = dict(re.findall(r"install\.sh (\w+) (.+)$", TEXT, re.MULTILINE))
    installed = [lock for layer in layers(TEXT, image) for lock in steps[layer].replace("${TORCH}", build).split()]
    assert sorted(installed) == sorted(locks(image, build))


@pytest.mark.parametrize(("smaller", "larger"), [("core", "data"), ("data", "train"), ("train", "evaluate")])
def test_an_image_is_made_of_the_layers_of_the_one_before_so_that_they_are_stored_once(smaller: str, larger: str) -> None:
    def packages(image: str) -> list[str]:
        return [
            line
            for line in lineage(TEXT, image)
            if "/opt/code" not in line and not line.startswith(("CMD", "RUN python -m infra"))
        ]

    below, above = packages(smaller), packages(larger)
    assert above[: len(below)] == below
    assert layers(TEXT, larger)[: len(layers(TEXT, smaller))] == layers(TEXT, smaller)


def test_the_code_is_the_last_layer_of_every_image_that_has_it() -> None:
    for image in IMAGES:
        instructions = lineage(TEXT, image)
        last = max(number for number, line in enumerate(instructions) if "/opt/longrun" in line and line.startswith("COPY"))
        assert all("/opt/code" not in line for line in instructions[: last + 1] if line.startswith("COPY"))


@pytest.mark.parametrize("image", IMAGES)
def test_the_build_of_an_image_ends_where_it_holds_what_no_lock_names(image: str) -> None:
    instructions = lineage(TEXT, image)
    assert instructions.index("RUN python -m infra.distributions") > max(
        number for number, line in enumerate(instructions) if line.startswith(("COPY --from=build-", "RUN sh"))
    )


def test_nothing_is_mounted_from_a_stage_which_buildah_shows_without_its_last_steps() -> None:
    assert not re.search(r"--mount=\S*from=", TEXT)


@pytest.mark.parametrize("image", IMAGES)
def test_an_image_runs_as_a_numbered_user_that_is_not_root(image: str) -> None:
    users = [line.split()[1] for line in lineage(TEXT, image) if line.startswith("USER")]
    assert users[-1] == "1000:1000"


def test_every_image_is_a_stage_and_every_last_stage_an_image() -> None:
    parents = {parent for parent, _ in stages(TEXT).values()}
    assert {name for name in stages(TEXT) if name not in parents and not name.startswith("build-")} - {"code"} == set(IMAGES)
    assert {name.removeprefix("build-") for name in stages(TEXT) if name.startswith("build-")} == set(
        re.findall(r"/layers/(\w+) ", TEXT)
    )


def test_the_base_is_an_argument_with_a_digest() -> None:
    assert re.search(r"^ARG BASE=\S+@sha256:[0-9a-f]{64}$", TEXT, re.MULTILINE)
    assert stages(TEXT)["base"][0] == "${BASE}"


@pytest.mark.parametrize("name", re.findall(r"^COPY (?!--from)(.+) \S+$", TEXT, re.MULTILINE))
def test_what_is_copied_exists_and_is_not_ignored(name: str) -> None:
    ignore = (PROJECT_ROOT / ".dockerignore").read_text().split()
    for path in name.split():
        assert all((PROJECT_ROOT / path.replace("${TORCH}", build)).exists() for build in BUILDS)
        assert f"!{Path(path).parts[0]}" in ignore

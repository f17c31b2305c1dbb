"""What the Containerfile installs, and as whom its images run."""

import re
from pathlib import Path

import pytest

from infra.bundle import REPOSITORY
from infra.sbom import IMAGES

TEXT = (REPOSITORY / "infra" / "containers" / "Containerfile").read_text().replace("\\\n", " ")
LOCKS = {path.stem for path in (REPOSITORY / "infra" / "locks").glob("*.txt")}

Stage = tuple[str, list[str]]


def stages(text: str) -> dict[str, Stage]:
    """Each stage's parent and instructions."""
    pieces = re.split(r"^FROM (\S+) AS (\S+)\n", text, flags=re.MULTILINE)[1:]
    return {name: (parent, body.splitlines()) for parent, name, body in zip(pieces[::3], pieces[1::3], pieces[2::3], strict=True)}


def lineage(text: str, name: str) -> list[str]:
    """The instructions of a stage and of those that it stands on, oldest first."""
    known = stages(text)
    return [*lineage(text, known[name][0]), *known[name][1]] if name in known else []


def unlocked(text: str) -> list[str]:
    """Instructions that install something which no lock names."""
    installing = [line for line in text.splitlines() if re.search(r"\b(pip3?|apt|apt-get|apk|dnf|conda|npm|curl|wget)\b", line)]
    from_locks = r"RUN (python -m venv /opt/installer && )?/opt/installer/bin/(uv )?pip install [-a-z ]*-r /locks/([a-z]+)\.txt$"
    known = [re.match(from_locks, line) for line in installing if line.startswith("RUN")]
    wrong = [line for line, match in zip(installing, known, strict=False) if not match or match[3] not in LOCKS]
    return [*wrong, *(line for line in text.splitlines() if re.match(r"ADD\b", line))]


def test_only_what_the_locks_name_is_installed() -> None:
    assert unlocked("\n".join(line for line in TEXT.splitlines() if not line.startswith("#"))) == []


@pytest.mark.parametrize(
    "line",
    [
        "RUN /opt/installer/bin/uv pip install requests",
        "RUN /opt/installer/bin/uv pip install -r /locks/core.txt requests",
        "RUN /opt/installer/bin/uv pip install -r /locks/unknown.txt",
        "RUN apt-get install --yes gcc",
        "ADD https://example.com/tool /usr/bin/tool",
    ],
)
def test_an_installation_beside_the_locks_is_found(line: str) -> None:
    assert unlocked(line) == [line]


@pytest.mark.parametrize("image", IMAGES)
def test_an_image_holds_the_locks_that_its_bill_of_materials_names(image: str) -> None:
    (build,) = re.findall(r"COPY --from=(build-\S+) /opt/longrun /opt/longrun", "\n".join(stages(TEXT)[image][1]))
    installed = re.findall(r"-r /locks/([a-z]+)\.txt", "\n".join(lineage(TEXT, build)))
    assert tuple(lock for lock in installed if lock != "bootstrap") == IMAGES[image]


@pytest.mark.parametrize("image", IMAGES)
def test_an_image_runs_as_a_numbered_user_that_is_not_root(image: str) -> None:
    users = [line.split()[1] for line in lineage(TEXT, image) if line.startswith("USER")]
    assert users[-1] == "1000:1000"


def test_every_image_is_a_stage_and_every_last_stage_an_image() -> None:
    parents = {parent for parent, _ in stages(TEXT).values()}
    assert {name for name in stages(TEXT) if name not in parents and not name.startswith("build-")} - {"code"} == set(IMAGES)


def test_the_base_is_an_argument_with_a_digest() -> None:
    assert re.search(r"^ARG BASE=\S+@sha256:[0-9a-f]{64}$", TEXT, re.MULTILINE)
    assert stages(TEXT)["base"][0] == "${BASE}"


@pytest.mark.parametrize("name", re.findall(r"^COPY (?!--from)(.+) \S+$", TEXT, re.MULTILINE))
def test_what_is_copied_exists_and_is_not_ignored(name: str) -> None:
    ignore = (REPOSITORY / ".dockerignore").read_text().split()
    for path in name.split():
        assert (REPOSITORY / path).exists()
        assert f"!{Path(path).parts[0]}" in ignore

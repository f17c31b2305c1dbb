"""A stand-in for docker, podman, buildah and kind: keeps which images there are, and refuses what the real one does not know.

Run as a program, `builders.py STATE NAME ARGUMENTS...`: it notes the call in STATE/told and answers as NAME would. Flags are
those of `--help` of docker 28.2.2 with buildx, and of buildah 1.28.2, whose build podman 4.3 shares. It imports no package.
"""

import hashlib
import json
import sys
from pathlib import Path

_BUILD = {
    *("--add-host", "--annotation", "--build-arg", "--build-context", "--cache-from", "--cache-to", "--cgroup-parent", "--file"),
    *(
        "--iidfile",
        "--label",
        "--memory",
        "--memory-swap",
        "--network",
        "--no-cache",
        "--output",
        "--platform",
        "--pull",
        "--quiet",
    ),
    *("--secret", "--shm-size", "--ssh", "--tag", "--target", "--ulimit"),
}
_CONTAINERS = {
    *(
        "--arch",
        "--authfile",
        "--cap-add",
        "--cap-drop",
        "--cert-dir",
        "--creds",
        "--dns",
        "--env",
        "--format",
        "--from",
        "--isolation",
    ),
    *(
        "--jobs",
        "--layers",
        "--os",
        "--retry",
        "--security-opt",
        "--squash",
        "--timestamp",
        "--tls-verify",
        "--userns",
        "--volume",
    ),
}
_PUSH = {
    *(
        "--authfile",
        "--cert-dir",
        "--compression-format",
        "--creds",
        "--digestfile",
        "--format",
        "--quiet",
        "--remove-signatures",
    ),
    *("--sign-by", "--tls-verify"),
}
FLAGS: dict[tuple[str, str], set[str]] = {
    ("docker", "build"): _BUILD
    | {"--allow", "--attest", "--builder", "--load", "--progress", "--provenance", "--push", "--sbom"},
    ("podman", "build"): _BUILD | _CONTAINERS,
    ("buildah", "build"): _BUILD | _CONTAINERS | {"--signature-policy"},
    ("docker", "push"): {"--all-tags", "--disable-content-trust", "--platform", "--quiet"},
    ("podman", "push"): _PUSH,
    ("buildah", "push"): _PUSH | {"--rm", "--signature-policy"},
    ("docker", "image inspect"): {"--format", "--platform"},
    ("podman", "image inspect"): {"--format"},
    ("buildah", "inspect"): {"--format", "--type"},
    ("docker", "save"): {"--output", "--platform"},
    ("podman", "save"): {"--compress", "--format", "--multi-image-archive", "--output", "--quiet"},
    ("kind", "load image-archive"): {"--name", "--nodes"},
    **{(builder, "info"): {"--format"} for builder in ("docker", "podman", "buildah")},
}
SWITCHES = {
    "--layers",
    "--load",
    "--no-cache",
    "--pull",
    "--push",
    "--quiet",
    "--rm",
    "--squash",
    "--tls-verify",
    "--all-tags",
    "--compress",
}
"""Flags without a value of their own; with one it follows `=`."""


def _fail(message: str) -> "SystemExit":
    return SystemExit(f"Error: {message}")


def parsed(name: str, words: list[str]) -> tuple[str, dict[str, list[str]], list[str]]:
    """Subcommand, flags and the rest of a call. Raises `SystemExit` where the program would not take it."""
    command = next((c for n in (2, 1) if (name, c := " ".join(words[:n])) in FLAGS), "")
    if not command:
        raise _fail(f"{name} knows no {' '.join(words[:2])}")
    flags: dict[str, list[str]] = {}
    rest: list[str] = []
    waiting = iter(words[len(command.split()) :])
    for word in waiting:
        flag, equals, value = word.partition("=")
        if not word.startswith("-"):
            rest.append(word)
        elif flag not in FLAGS[name, command]:
            raise _fail(f"unknown flag: {flag}")
        else:
            flags.setdefault(flag, []).append(value if equals or flag in SWITCHES else next(waiting))
    return command, flags, rest


def full_name(name: str, image: str) -> str:
    """What a program calls an image: docker takes a name without a host for Docker Hub's, the others for this machine's."""
    host = image.partition("/")[0]
    if "." in host or ":" in host or host == "localhost":
        return image
    return f"docker.io/{image}" if name == "docker" else f"localhost/{image}"


def digest(*what: str) -> str:
    """A digest made of what it is of."""
    return "sha256:" + hashlib.sha256(" ".join(what).encode()).hexdigest()


class Builder:
    """One program with the images of this machine, which lie in a directory."""

    def __init__(self, state: Path, name: str) -> None:
        self.name = name
        self._images = state / "images.json"

    def images(self) -> dict[str, list[str]]:
        """Digests that each image has here, by full name: its own first, then those of registries."""
        return dict(json.loads(self._images.read_text())) if self._images.exists() else {}

    def keep(self, images: dict[str, list[str]]) -> None:
        """Remember images and their digests."""
        self._images.write_text(json.dumps(images))

    def call(self, words: list[str]) -> str:
        """What the program prints. Raises `SystemExit` where it fails."""
        command, flags, rest = parsed(self.name, words)
        if command == "build":
            return self._build(flags, rest)
        if command == "info":
            return ""
        if command == "load image-archive":
            if not Path(rest[0]).is_file():
                raise _fail(f"stat {rest[0]}: no such file")
            return ""
        image = full_name(self.name, rest[0])
        if image not in self.images():
            raise _fail(f"{rest[0]}: image not known")
        if command == "save":
            Path(flags["--output"][0]).write_text(image)
        if command == "push":
            return self._push(image, flags, rest[1:])
        return self._inspect(image, flags) if command.endswith("inspect") else ""

    def _build(self, flags: dict[str, list[str]], rest: list[str]) -> str:
        if len(rest) != 1 or not Path(rest[0]).is_dir() or not Path(flags["--file"][0]).is_file():
            raise _fail("build needs one context and a file")
        for secret in flags.get("--secret", []):
            if not Path(secret.partition("src=")[2]).is_file():
                raise _fail(f"secret {secret}: no such file")
        image = full_name(self.name, flags["--tag"][0])
        self.keep(self.images() | {image: [digest("built", image)]})
        return "a builder's own words"

    def _push(self, image: str, flags: dict[str, list[str]], to: list[str]) -> str:
        if to and to[0].startswith("docker-archive:"):
            Path(to[0].split(":")[1]).write_text(image)
            return ""
        if image.startswith("localhost/"):
            raise _fail(f"pinging container registry localhost: connection refused: {image}")
        images = self.images()
        images[image].append(digest("pushed", image))
        self.keep(images)
        for file in flags.get("--digestfile", []):
            Path(file).write_text(images[image][-1])
        return "pushed"

    def _inspect(self, image: str, flags: dict[str, list[str]]) -> str:
        own, *registries = self.images()[image]
        name = image.rpartition(":")[0]
        familiar = name.removeprefix("docker.io/").removeprefix("library/") if self.name == "docker" else name
        answers = {
            ("docker", "{{.Id}}"): own,
            ("docker", "{{range .RepoDigests}}{{println .}}{{end}}"): "\n".join(f"{familiar}@{pushed}" for pushed in registries),
            ("podman", "{{.Digest}}"): own,
            ("buildah", "{{.FromImageDigest}}"): own,
        }
        return answers[self.name, flags["--format"][0]]


if __name__ == "__main__":
    directory, program, *arguments = sys.argv[1:]
    with (Path(directory) / "told").open("a") as told:
        told.write(" ".join([program, *arguments]) + "\n")
    print(Builder(Path(directory), program).call(arguments))

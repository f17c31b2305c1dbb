"""A command as in a pod: by user 1000, whom no file of users names, with a read-only root folder, and a Ray of its own defaults.

    unshare --mount --propagation private python -m tests.end_to_end.as_in_a_pod DIRECTORY WORD …

runs `longrun WORD …` where `DIRECTORY` is all that is writable: as /tmp, and its folder `user` as $HOME. It needs the right to
mount, which root has in most containers: `refusal` says why there is none. Nothing outside the new mount namespace changes.
"""

import os
import subprocess
import sys
from pathlib import Path

from tests.paths import ROOT

USER = 1000
STAGE = Path("/mnt")
"""Hidden by a file system in memory, where paths wait to be put where they belong."""

NOT_AS_IN_A_POD = 77
"""Exit status where the machine does not let everything but the directory be closed to the user."""

NAMESPACE = ("unshare", "--mount", "--propagation", "private")


def refusal() -> str:
    """Why this machine cannot do it; empty where it can."""
    if os.geteuid() != 0:
        return "only root may become user 1000"
    if Path("/tmp") in ROOT.parents:
        return "the checkout lies below /tmp, which a pod has for itself"
    try:
        ended = subprocess.run([*NAMESPACE, "mount", "-t", "tmpfs", "tmpfs", STAGE], capture_output=True, text=True, check=False)
    except OSError as error:
        return str(error)
    return ended.stderr.strip()


def run(directory: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    """A command that has ended."""
    command = [*NAMESPACE, sys.executable, "-m", "tests.end_to_end.as_in_a_pod", str(directory), *words]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def _mount(*words: object) -> None:
    subprocess.run(["mount", *map(str, words)], check=True)


def _enter(directory: Path) -> None:
    """Make everything but the directory read-only, and what the command needs readable."""
    needed = {ROOT, Path(sys.prefix), Path(sys.base_prefix), Path(sys.executable).resolve().parents[1]}
    for name in ("", "user"):
        (directory / name).mkdir(exist_ok=True)
        os.chown(directory / name, USER, USER)
    directory.chmod(0o1777)
    _mount("-t", "tmpfs", "-o", "mode=755", "tmpfs", STAGE)
    (STAGE / "user").mkdir()
    _mount("--bind", directory / "user", STAGE / "user")
    for number, path in enumerate(sorted(needed)):
        (STAGE / str(number)).mkdir()
        _mount("--bind", path, STAGE / str(number))
    _mount("--bind", directory, "/tmp")
    for number, path in enumerate(sorted(needed)):
        closed = next((parent for parent in reversed(path.parents) if parent.exists() and not parent.stat().st_mode & 1), None)
        if closed:
            _mount("-t", "tmpfs", "-o", "mode=755", "tmpfs", closed)
        if closed or not path.exists():
            path.mkdir(parents=True, exist_ok=True)
            _mount("--bind", STAGE / str(number), path)
    _mount("-o", "remount,bind,ro", "/")


def _become_user() -> None:
    home = STAGE / "user"
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "GOMP_SPINCOUNT") if name in os.environ}
    os.environ.clear()
    os.environ.update(kept | {"HOME": str(home), "PYTHONPATH": str(ROOT)})
    os.setgroups([])
    os.setgid(USER)
    os.setuid(USER)
    os.chdir(home)
    for path in (ROOT, Path("/"), Path("/etc"), Path("/var/tmp")):
        assert not os.access(path, os.W_OK), f"user {USER} may write {path}"


def _run_beside_a_default_ray(words: list[str]) -> None:
    """What Flyte's plugin does before a task: it connects to a Ray that was started without any variable of ours."""
    import ray

    ray.init(num_cpus=os.cpu_count(), include_dashboard=False, runtime_env={"env_vars": {"PYTHONPATH": str(ROOT)}})
    from workflows.cli.main import main

    sys.argv = ["longrun", *words]
    main()


if __name__ == "__main__":
    try:
        _enter(Path(sys.argv[1]))
        _become_user()
    except (AssertionError, OSError, subprocess.CalledProcessError) as error:
        print(error, file=sys.stderr)
        sys.exit(NOT_AS_IN_A_POD)
    _run_beside_a_default_ray(sys.argv[2:])

"""Builds the wheel from the files of the checkout, and installs it into environments of its own."""

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

from tests.paths import ROOT

SOURCES = ("pyproject.toml", "setup.py", "README.md", "LICENSE", "components", "infra", "workflows", "charts")


def built(folder: Path) -> Path:
    """The wheel, built below `folder` from a copy, so that the checkout stays as it is."""
    sources = folder / "sources"
    sources.mkdir()
    for name in SOURCES:
        path = ROOT / name
        if path.is_dir():
            shutil.copytree(path, sources / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(path, sources)
    options = ["--quiet", "--no-deps", "--no-index", "--no-build-isolation", "--wheel-dir", str(folder)]
    subprocess.run([sys.executable, "-m", "pip", "wheel", *options, str(sources)], check=True, capture_output=True, cwd=folder)
    shutil.rmtree(sources)
    (wheel,) = folder.glob("*.whl")
    return wheel


def beside_our_packages(wheel: Path, folder: Path) -> Path:
    """The `bin` of an environment with the wheel, which finds everything else where these tests find it.

    A path in a .pth file is searched for modules, and the .pth files in it are not read: the checkout, which is installed there
    by one, stays out of sight.
    """
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    options = ["--quiet", "--no-deps", "--no-index"]
    python = str(folder / "bin" / "python")
    subprocess.run([sys.executable, "-m", "pip", "--python", python, "install", *options, str(wheel)], check=True)
    (site,) = folder.glob("lib/python*/site-packages")
    (site / "ours.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder / "bin"


def by_itself(wheel: Path, folder: Path) -> Path | None:
    """The `bin` of an environment that has only the wheel and what it requires, from uv's cache; None if the cache lacks some."""
    uv = str(Path(sys.executable).with_name("uv"))
    subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, str(folder)], check=True)
    command = [uv, "pip", "install", "--quiet", "--offline", "--python", str(folder / "bin" / "python"), str(wheel)]
    # uv reads its own variable for the directory of another build of torch, see infra/install.sh
    links = os.environ.get("UV_FIND_LINKS") or os.environ.get("PIP_FIND_LINKS")
    environment = {**os.environ, **({"UV_FIND_LINKS": links} if links else {})}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode and "network was disabled" in done.stderr:
        return None
    assert done.returncode == 0, done.stderr
    return folder / "bin"

"""The peers that benchmarks measure against live in environments of their own, so that nothing of theirs is locked here."""

import subprocess
import sys
from pathlib import Path


def peer_python(name: str, requirements: list[str]) -> Path:
    """The interpreter of the environment `.longrun/bench/peers/NAME`, made with uv where it is missing."""
    directory = Path(".longrun/bench/peers") / name
    python, made = directory / "bin" / "python", directory / "made"
    wanted = "\n".join(requirements)
    if not made.exists() or made.read_text() != wanted:
        uv = str(Path(sys.executable).with_name("uv"))
        subprocess.run([uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(directory)], check=True)
        subprocess.run([uv, "pip", "install", "--quiet", "--python", str(python), *requirements], check=True)
        made.write_text(wanted)
    return python

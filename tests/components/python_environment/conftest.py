"""Distributions made for a test, installed with the records that `pip` writes."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

Install = Callable[..., None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """`install(name, {path: text}, metadata="License: MIT", description="...", record=[...])` into a site directory."""
    site = tmp_path / "site"
    site.mkdir()
    monkeypatch.syspath_prepend(str(site))

    def write(
        name: str, files: Mapping[str, str | bytes], metadata: str = "", description: str = "", record: list[str] | None = None
    ) -> None:
        info = f"{name.replace('-', '_')}-1.0.dist-info"
        head = f"Metadata-Version: 2.4\nName: {name}\nVersion: 1.0\n{metadata}".rstrip()
        contents = {**files, f"{info}/METADATA": f"{head}\n\n{description}"}
        for path, text in contents.items():
            (site / path).parent.mkdir(parents=True, exist_ok=True)
            (site / path).write_bytes(text.encode() if isinstance(text, str) else text)
        lines = record if record is not None else [f"{path},," for path in [*contents, f"{info}/RECORD"]]
        (site / info / "RECORD").write_text("\n".join(lines) + "\n")

    return write

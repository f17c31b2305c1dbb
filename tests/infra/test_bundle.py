"""What code travels to a cluster: our packages and locks, and nothing that lies beside them."""

from pathlib import Path

import pytest

from infra.bundle import PROJECT_ROOT, code_files, code_version

SECRET = "a secret"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A tree with one file of each kind that is wanted."""
    for name in ("components/a.py", "infra/locks/core.txt", "workflows/b.py", "pyproject.toml"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    return tmp_path


def test_a_home_a_dotenv_and_links_beside_the_code_stay_here(root: Path) -> None:
    wanted = {str(path) for path in root.rglob("*") if path.is_file()}
    for name in (
        ".env",
        "workflows/.env",
        ".longrun/x.py",
        "infra/.secrets.py",
        "infra/.longrun/a.py",
        "token.py",
        "infra/key.pem",
    ):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(SECRET)
    (root / "infra" / "elsewhere.py").symlink_to(root / "token.py")
    assert set(code_files(root)) == wanted


def test_everything_that_the_packages_import_or_read_travels() -> None:
    taken = {Path(path).relative_to(PROJECT_ROOT).as_posix() for path in code_files()}
    assert {"workflows/pipeline.py", "components/artifacts/manifest.py", "infra/locks/core.txt", "pyproject.toml"} <= taken
    assert [name for name in taken if not name.endswith((".py", ".txt", ".toml"))] == []


def test_the_version_is_that_of_names_and_bytes(root: Path) -> None:
    first = code_version(root)
    assert first == code_version(root)
    (root / "components" / "a.py").rename(root / "components" / "c.py")
    second = code_version(root)
    (root / "components" / "c.py").write_text("other")
    assert len({first, second, code_version(root)}) == 3

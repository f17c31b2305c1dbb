"""Fields of recipes that had another name: `--set` and recipe files that use an old one are told the new one."""

RENAMED: dict[str, str] = {}
"""Old path in a recipe -> the new one."""


def new_name_of(path: str) -> str:
    """The path that `path` has today; empty where it has none other. Fields inside a renamed one are looked for too."""
    for old, new in RENAMED.items():
        if path == old or path.startswith(f"{old}."):
            return new + path.removeprefix(old)
    return ""


def hint_for(field: str) -> str:
    """For a field without its path, as Python's own errors have it: what it is called today, or nothing."""
    names = sorted({new.rpartition(".")[2] for old, new in RENAMED.items() if old.rpartition(".")[2] == field})
    return f"{field} is called {' or '.join(names)} now" if names else ""

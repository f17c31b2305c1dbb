"""The rooms of the code: how many modules a folder holds, how packages depend on each other, and that nothing goes in circles."""

import copy
import functools
from collections.abc import Iterator, Mapping
from pathlib import Path

import grimp
import pytest

from tests.paths import PACKAGES, ROOT

MAX_MODULES = 20
"""Modules of a folder: more are looked through, not known."""

MAX_ARROWS = {"components.curation": 57, "components.training": 24, "workflows": 51}
"""Imports between the rooms of a package, which are its modules and sub-packages; each counts once."""

MAX_FLOORS = {"components.curation": 9, "components.training": 6, "workflows": 9}
"""Rooms of the longest chain of imports."""

Arrows = Mapping[str, frozenset[str]]


@pytest.fixture(scope="module")
def graph() -> grimp.ImportGraph:
    """Which module imports which, also inside functions and for types alone."""
    return grimp.build_graph(*PACKAGES, cache_dir=None)


def arrows_between(graph: grimp.ImportGraph, package: str) -> Arrows:
    """For each room of `package`, the others that it imports."""
    rooms = {room: {room, *graph.find_descendants(room)} for room in graph.find_children(package)}
    owner = {module: room for room, modules in rooms.items() for module in modules}
    return {
        room: frozenset(
            owner[imported]
            for module in modules
            for imported in graph.find_modules_directly_imported_by(module)
            if owner.get(imported, room) != room
        )
        for room, modules in rooms.items()
    }


def floors(arrows: Arrows) -> int:
    """The number of rooms in the longest chain. Raises `RecursionError` in a circle."""

    @functools.cache
    def height(room: str) -> int:
        return 1 + max((height(below) for below in arrows[room]), default=0)

    return max(map(height, arrows))


def circles(arrows: Arrows) -> list[tuple[str, ...]]:
    """Modules that import themselves through others, each circle sorted."""

    @functools.cache
    def reached(module: str) -> frozenset[str]:
        seen, waiting = set[str](), [module]
        while waiting:
            for imported in arrows[waiting.pop()] - seen:
                seen.add(imported)
                waiting.append(imported)
        return frozenset(seen)

    around = (
        tuple(sorted(other for other in reached(module) if module in reached(other)))
        for module in arrows
        if module in reached(module)
    )
    return sorted(set(around))


def modules_of(graph: grimp.ImportGraph) -> Arrows:
    """What each module imports."""
    return {module: frozenset(graph.find_modules_directly_imported_by(module)) for module in graph.modules}


def folders(root: Path) -> Iterator[tuple[Path, int]]:
    """Every folder of code below `root` with the number of its modules."""
    for package in (*PACKAGES, "tests"):
        for folder in [root / package, *(path for path in (root / package).rglob("*") if path.is_dir())]:
            yield folder.relative_to(root), sum(path.name != "__init__.py" for path in folder.glob("*.py"))


def test_no_folder_holds_more_modules_than_a_reader_keeps_in_mind() -> None:
    assert {folder: count for folder, count in folders(ROOT) if count > MAX_MODULES} == {}


def test_a_folder_with_too_many_modules_is_found(tmp_path: Path) -> None:
    (tmp_path / "infra").mkdir()
    for number in range(MAX_MODULES + 1):
        (tmp_path / "infra" / f"m{number}.py").touch()
    assert dict(folders(tmp_path))[Path("infra")] > MAX_MODULES


@pytest.mark.parametrize("package", MAX_ARROWS)
def test_a_package_has_no_more_arrows_and_floors_than_it_had(graph: grimp.ImportGraph, package: str) -> None:
    arrows = arrows_between(graph, package)
    assert sum(map(len, arrows.values())) <= MAX_ARROWS[package]
    assert floors(arrows) <= MAX_FLOORS[package]


def test_no_module_imports_itself_through_others(graph: grimp.ImportGraph) -> None:
    assert circles(modules_of(graph)) == []


def test_no_package_imports_itself_through_its_neighbours(graph: grimp.ImportGraph) -> None:
    packages = [package for package in graph.modules if graph.find_children(package)]
    assert {
        package: circles(arrows_between(graph, package)) for package in packages if circles(arrows_between(graph, package))
    } == {}


def test_a_circle_inside_a_package_is_found(graph: grimp.ImportGraph) -> None:
    changed = copy.deepcopy(graph)
    changed.add_import(importer="infra.bundle", imported="infra.variables")
    assert circles(modules_of(changed)) == [("infra.bundle", "infra.variables")]


def test_arrows_and_floors_are_counted_between_rooms() -> None:
    graph = grimp.ImportGraph()
    for module in ("p", "p.a", "p.a.x", "p.a.y", "p.b", "p.c"):
        graph.add_module(module)
    for importer, imported in (("p.a.x", "p.a.y"), ("p.a.x", "p.b"), ("p.a.y", "p.b"), ("p.b", "p.c")):
        graph.add_import(importer=importer, imported=imported)
    arrows = arrows_between(graph, "p")
    assert sum(map(len, arrows.values())) == 2
    assert floors(arrows) == 3

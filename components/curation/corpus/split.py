"""Which side of the train/validation split each group falls on: by bytes per domain, whole groups, the same every time."""

from collections.abc import Mapping

from components.curation.text.draw import draw
from components.names import TRAIN, VALIDATION

ENOUGH = 0.5
"""A domain whose validation side holds less than this part of its target gets another group."""

Sizes = Mapping[str, Mapping[str, int]]
"""Bytes of each domain in each group."""


def assign(sizes: Sizes, linked: Mapping[str, tuple[str, ...]], *, share: float, seed: int) -> dict[str, str]:
    """The split of every group in `sizes` and `linked`; groups that are linked fall on one side.

    Groups are drawn in an order that the seed decides and held out where they fit below `share` of the bytes of all their
    domains. Then every domain of at least two groups that is still far from its share gets the group that brings
    all domains nearest to theirs, and keeps one for training. A group without bytes is drawn with probability `share`.
    """
    units = _units(sizes, linked)
    totals: dict[str, int] = {}
    for unit in units.values():
        _add(totals, unit)
    targets = {domain: share * total for domain, total in totals.items()}
    order = sorted(units, key=lambda name: (draw(seed, name), name))
    held: set[str] = {name for name in order if not any(units[name].values()) and draw(seed, f"{name} held") < share}
    filled = dict.fromkeys(totals, 0)
    for name in order:
        if any(units[name].values()) and all(filled[d] + size <= targets[d] for d, size in units[name].items()):
            held.add(name)
            _add(filled, units[name])
    for domain in sorted(totals, key=lambda domain: (sum(bool(unit.get(domain)) for unit in units.values()), domain)):
        lacking = filled[domain] < ENOUGH * targets[domain]
        if lacking and (nearest := _nearest(domain, order, units, held, filled, targets)):
            held.add(nearest)
            _add(filled, units[nearest])
    root = _roots(sizes, linked)
    return {group: VALIDATION if root[group] in held else TRAIN for group in sorted(root)}


def _nearest(
    domain: str,
    order: list[str],
    units: Mapping[str, Mapping[str, int]],
    held: set[str],
    filled: Mapping[str, int],
    targets: Mapping[str, float],
) -> str | None:
    """The group of `domain` whose bytes leave all domains nearest to their targets, unless it is the last to train on."""

    def distance(name: str) -> float:
        return sum(abs(filled[d] + size - targets[d]) / targets[d] for d, size in units[name].items())

    def spares_all(name: str) -> bool:
        return all(any(units[other].get(d) for other in order if other not in held and other != name) for d in units[name])

    candidates = [name for name in order if units[name].get(domain) and name not in held]
    better = [name for name in candidates if not filled[domain] or distance(name) < _standing(units[name], filled, targets)]
    return next((name for name in sorted(better, key=distance) if spares_all(name)), None)


def _standing(unit: Mapping[str, int], filled: Mapping[str, int], targets: Mapping[str, float]) -> float:
    return sum(abs(filled[d] - targets[d]) / targets[d] for d in unit)


def _units(sizes: Sizes, linked: Mapping[str, tuple[str, ...]]) -> dict[str, dict[str, int]]:
    units: dict[str, dict[str, int]] = {}
    for group, root in _roots(sizes, linked).items():
        _add(units.setdefault(root, {}), sizes.get(group, {}))
    return units


def _roots(sizes: Sizes, linked: Mapping[str, tuple[str, ...]]) -> dict[str, str]:
    """The first name of the groups that each group is linked with, directly or through others."""
    root = {group: group for group in sorted({*sizes, *linked})}
    changed = True
    while changed:
        changed = False
        for group, others in linked.items():
            least = min(root[name] for name in (group, *others))
            for name in (group, *others):
                changed |= root[name] != least
                root[name] = least
    return root


def _add(total: dict[str, int], sizes: Mapping[str, int]) -> None:
    for domain, size in sizes.items():
        total[domain] = total.get(domain, 0) + size

"""The train/validation split: by bytes per domain, whole groups, the same every time."""

from collections.abc import Mapping

from components.artifacts import TRAIN, VALIDATION
from components.curation.text.draw import draw

ENOUGH = 0.5
"""A domain that holds out less than this share of its target gets another group."""

Sizes = Mapping[str, Mapping[str, int]]
"""Bytes of each domain in each group."""


def assign(sizes: Sizes, linked: Mapping[str, tuple[str, ...]], *, share: float, seed: int) -> dict[str, str]:
    """The split of every group in `sizes` and `linked`; groups that are linked are in one split.

    Groups are drawn in an order that the seed decides and held out where they fit below `share` of the bytes of all their
    domains. Then every domain of at least two groups that is still far from its share gets the group that brings
    all domains nearest to theirs, and keeps one for training. A group without bytes is drawn with probability `share`.
    """
    groups = _joined(sizes, linked)
    totals: dict[str, int] = {}
    for group in groups.values():
        _add(totals, group)
    targets = {domain: share * total for domain, total in totals.items()}

    # Groups that fit are held out.
    order = sorted(groups, key=lambda name: (draw(seed, name), name))
    held: set[str] = {name for name in order if not any(groups[name].values()) and draw(seed, f"{name} held") < share}
    filled = dict.fromkeys(totals, 0)
    for name in order:
        if any(groups[name].values()) and all(filled[d] + size <= targets[d] for d, size in groups[name].items()):
            held.add(name)
            _add(filled, groups[name])

    # Domains that hold out too little get another group, those of few groups first.
    for domain in sorted(totals, key=lambda domain: (sum(bool(group.get(domain)) for group in groups.values()), domain)):
        lacking = filled[domain] < ENOUGH * targets[domain]
        if lacking and (nearest := _nearest(domain, order, groups, held, filled, targets)):
            held.add(nearest)
            _add(filled, groups[nearest])
    root = _roots(sizes, linked)
    return {group: VALIDATION if root[group] in held else TRAIN for group in sorted(root)}


def _nearest(
    domain: str,
    order: list[str],
    groups: Mapping[str, Mapping[str, int]],
    held: set[str],
    filled: Mapping[str, int],
    targets: Mapping[str, float],
) -> str | None:
    """The group of `domain` whose bytes leave all domains nearest to their targets, unless it is the last to train on."""

    def distance(name: str) -> float:
        return sum(abs(filled[d] + size - targets[d]) / targets[d] for d, size in groups[name].items())

    def distance_without(name: str) -> float:
        return sum(abs(filled[d] - targets[d]) / targets[d] for d in groups[name])

    def spares_all(name: str) -> bool:
        return all(any(groups[other].get(d) for other in order if other not in held and other != name) for d in groups[name])

    candidates = [name for name in order if groups[name].get(domain) and name not in held]
    better = [name for name in candidates if not filled[domain] or distance(name) < distance_without(name)]
    return next((name for name in sorted(better, key=distance) if spares_all(name)), None)


def _joined(sizes: Sizes, linked: Mapping[str, tuple[str, ...]]) -> dict[str, dict[str, int]]:
    """Bytes of each domain in the groups that are linked, by the first name of these."""
    joined: dict[str, dict[str, int]] = {}
    for group, root in _roots(sizes, linked).items():
        _add(joined.setdefault(root, {}), sizes.get(group, {}))
    return joined


def _roots(sizes: Sizes, linked: Mapping[str, tuple[str, ...]]) -> dict[str, str]:
    """The first name of the groups that each group is linked with, directly or through others."""
    root = {group: group for group in sorted({*sizes, *linked})}
    changed = True
    while changed:
        changed = False
        for group, others in linked.items():
            lowest = min(root[name] for name in (group, *others))
            for name in (group, *others):
                changed |= root[name] != lowest
                root[name] = lowest
    return root


def _add(total: dict[str, int], sizes: Mapping[str, int]) -> None:
    for domain, size in sizes.items():
        total[domain] = total.get(domain, 0) + size

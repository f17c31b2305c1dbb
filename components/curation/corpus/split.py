"""Decides the train/validation split: whole groups, by bytes per domain, reproducible from the seed."""

from collections.abc import Mapping

from components.artifacts import TRAIN, VALIDATION
from components.curation.text.draw import draw

MIN_TARGET_SHARE = 0.5
"""Share of its target below which a domain holds out too little and gets another group."""

Sizes = Mapping[str, Mapping[str, int]]
"""Bytes by group and domain."""


def assign(sizes: Sizes, linked: Mapping[str, tuple[str, ...]], *, share: float, seed: int) -> dict[str, str]:
    """The split of every group in `sizes` and `linked`; linked groups are in the same split.

    Groups are visited in an order drawn by the seed. A group is held out if that keeps each of its domains at or below `share` of
    the domain's bytes. Then each domain that still holds out too little gets the group that brings all domains closest to their
    target, provided that each domain keeps a group for training. A group without bytes is held out with probability `share`.
    """
    groups = _joined(sizes, linked)
    totals: dict[str, int] = {}
    for group in groups.values():
        _add(totals, group)
    targets = {domain: share * total for domain, total in totals.items()}

    # Hold out the groups that fit.
    order = sorted(groups, key=lambda name: (draw(seed, name), name))
    held: set[str] = {name for name in order if not any(groups[name].values()) and draw(seed, f"{name} held") < share}
    filled = dict.fromkeys(totals, 0)
    for name in order:
        if any(groups[name].values()) and all(filled[d] + size <= targets[d] for d, size in groups[name].items()):
            held.add(name)
            _add(filled, groups[name])

    # Give another group to domains that hold out too little, starting with those that have few groups.
    for domain in sorted(totals, key=lambda domain: (sum(bool(group.get(domain)) for group in groups.values()), domain)):
        lacking = filled[domain] < MIN_TARGET_SHARE * targets[domain]
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
    """The group of `domain` that, if held out, brings all domains closest to their targets, or None if no group improves them.

    A group is not a candidate if holding it out would leave one of its domains without a group for training.
    """

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
    """Bytes by domain of each set of linked groups, keyed by the first name in the set."""
    joined: dict[str, dict[str, int]] = {}
    for group, root in _roots(sizes, linked).items():
        _add(joined.setdefault(root, {}), sizes.get(group, {}))
    return joined


def _roots(sizes: Sizes, linked: Mapping[str, tuple[str, ...]]) -> dict[str, str]:
    """For each group, the first name among the groups that it is linked with, directly or through others."""
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

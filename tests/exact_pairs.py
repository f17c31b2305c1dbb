"""Every pair of similar sets, found without MinHash and without any code of ours: what deduplication is held against.

Prefix filtering (Bayardo, Ma, Srikant: Scaling Up All Pairs Similarity Search, WWW 2007): with all members ordered from the
rarest on, two sets of similarity at least T share a member among the first n - ceil(T n) + 1 of each. Such pairs are
then counted.
"""

import math
from collections.abc import Iterable, Sequence

import numpy as np


def shingles(text: str, size: int = 5) -> list[str]:
    """Runs of words between spaces; a shorter text is one shingle."""
    words = text.split()
    return [" ".join(words[start : start + size]) for start in range(max(1, len(words) - size + 1))]


def similar_pairs(sets: Sequence[Iterable[str]], threshold: float) -> dict[tuple[int, int], float]:
    """The Jaccard similarity of every pair (i < j) that reaches the threshold."""
    owners, members = [], []
    for number, items in enumerate(sets):
        distinct = np.unique(np.fromiter(map(hash, items), dtype=np.int64))
        members.append(distinct)
        owners.append(np.full(len(distinct), number, dtype=np.int32))
    values, owner = np.concatenate(members), np.concatenate(owners)
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    order = np.lexsort((inverse, counts[inverse], owner))
    inverse, owner = inverse[order], owner[order]
    sizes = np.array(list(map(len, members)))
    start = np.cumsum(sizes) - sizes
    prefix = np.array([size - math.ceil(threshold * size - 1e-9) + 1 for size in sizes])
    inside = np.arange(len(owner)) - start[owner] < prefix[owner]
    similar: dict[tuple[int, int], float] = {}
    for first, second in sorted(_sharing(inverse[inside], owner[inside], sizes, threshold)):
        shared = len(np.intersect1d(members[first], members[second], assume_unique=True))
        similarity = shared / (sizes[first] + sizes[second] - shared)
        if similarity >= threshold:
            similar[first, second] = similarity
    return similar


def _sharing(members: np.ndarray, owner: np.ndarray, sizes: np.ndarray, threshold: float) -> set[tuple[int, int]]:
    """Pairs that share a member and whose sizes do not rule them out."""
    order = np.lexsort((owner, members))
    members, owner = members[order], owner[order]
    ends = np.flatnonzero(np.append(members[1:] != members[:-1], True)) + 1
    pairs: list[np.ndarray] = []
    for start, end in zip(np.append(0, ends[:-1]), ends, strict=True):
        if end - start > 1:
            group = owner[start:end].astype(np.int64)
            first, second = np.triu_indices(end - start, 1)
            smaller, larger = (pick(sizes[group[first]], sizes[group[second]]) for pick in (np.minimum, np.maximum))
            near = smaller >= threshold * larger - 1e-9
            pairs.append(group[first[near]] << 32 | group[second[near]])
        if len(pairs) > 100_000:
            pairs = [np.unique(np.concatenate(pairs))]
    distinct = np.unique(np.concatenate(pairs)) if pairs else np.zeros(0, dtype=np.int64)
    return set(zip((distinct >> 32).tolist(), (distinct & 0xFFFFFFFF).tolist(), strict=True))

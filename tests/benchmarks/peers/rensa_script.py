"""Near-duplicate removal as rensa's own page shows it: `python rensa_script.py FOLDER KEPT`."""

import sys

from measured import kept, read, shingles
from rensa import RMinHash, RMinHashLSH

PERMUTATIONS, THRESHOLD, BANDS = 128, 0.75, 16


def main() -> None:
    """Read the documents, remove, write the kept ones."""
    table = read(sys.argv[1])
    minhashes = []
    lsh = RMinHashLSH(threshold=THRESHOLD, num_perm=PERMUTATIONS, num_bands=BANDS)
    for number, text in enumerate(table["text"].to_pylist()):
        minhash = RMinHash(num_perm=PERMUTATIONS, seed=42)
        minhash.update(shingles(text))
        minhashes.append(minhash)
        lsh.insert(number, minhash)
    removed: set[int] = set()
    for number, minhash in enumerate(minhashes):
        if number in removed:
            continue
        for other in lsh.query(minhash):
            if other > number and other not in removed and minhash.jaccard(minhashes[other]) >= THRESHOLD:
                removed.add(other)
    kept(table, [number not in removed for number in range(len(table))], sys.argv[2])


if __name__ == "__main__":
    main()

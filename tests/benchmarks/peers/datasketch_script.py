"""Near-duplicate removal as datasketch's documentation shows it: `python datasketch_script.py FOLDER KEPT`."""

import sys

from datasketch import MinHash, MinHashLSH
from measured import kept, read, shingles

PERMUTATIONS, THRESHOLD = 128, 0.75


def main() -> None:
    """Read the documents, keep each that no kept one is similar to, write the kept ones."""
    table = read(sys.argv[1])
    lsh = MinHashLSH(threshold=THRESHOLD, num_perm=PERMUTATIONS)
    minhashes, stay = [], []
    for number, text in enumerate(table["text"].to_pylist()):
        minhash = MinHash(num_perm=PERMUTATIONS)
        minhash.update_batch([shingle.encode() for shingle in set(shingles(text))])
        minhashes.append(minhash)
        similar = any(minhash.jaccard(minhashes[other]) >= THRESHOLD for other in lsh.query(minhash))
        stay.append(not similar)
        if not similar:
            lsh.insert(number, minhash)
    kept(table, stay, sys.argv[2])


if __name__ == "__main__":
    main()

"""Near-duplicate removal by text-dedup's own command: `python text_dedup_script.py FOLDER KEPT`."""

import sys
import tempfile

from datasets import load_from_disk
from measured import kept_ids
from text_dedup.minhash import main as command

OPTIONS = "--split train --column text --ngram 5 --num_perm 128 --threshold 0.75 --min_length 0 --num_proc 1 --batch_size 10000"


def main() -> None:
    """Call the command and say what it kept."""
    with tempfile.TemporaryDirectory() as root:
        options = ["--path", "parquet", "--data_dir", sys.argv[1], "--cache_dir", f"{root}/cache", "--output", f"{root}/kept"]
        command([*options, *OPTIONS.split()], standalone_mode=False)
        kept_ids(load_from_disk(f"{root}/kept")["id"], sys.argv[2])


if __name__ == "__main__":
    main()

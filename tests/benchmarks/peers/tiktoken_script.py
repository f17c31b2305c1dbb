"""tiktoken with the ranks of a `tokenizer.json`: `python tiktoken_script.py FOLDER TOKENIZER PASSES`.

FOLDER holds `texts.parquet` and `expression.txt`; `ids.npy` is written there. Nothing is downloaded: ranks are given.
"""

import itertools
import json
import sys
import time
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import tiktoken


def main() -> None:
    """Encode all texts, and say how long it took."""
    directory, passes = Path(sys.argv[1]), int(sys.argv[3])
    model = json.loads(Path(sys.argv[2]).read_text(encoding="utf-8"))["model"]
    expression = (directory / "expression.txt").read_text(encoding="utf-8")
    ranks, order = ranks_of(model)
    encoding = tiktoken.Encoding(name="same", pat_str=expression, mergeable_ranks=ranks, special_tokens={})
    texts = pq.read_table(directory / "texts.parquet")["text"].to_pylist()
    taken = []
    for _ in range(passes):
        started = time.process_time()
        rows = [encoding.encode_ordinary(text) for text in texts]
        ids = np.fromiter(itertools.chain.from_iterable(rows), dtype=np.int64)
        taken.append(time.process_time() - started)
    np.save(directory / "ids.npy", order[ids])
    print(json.dumps({"seconds": min(taken)}))


def ranks_of(model: dict) -> tuple[dict[bytes, int], np.ndarray]:
    """Ranks of all tokens, bytes first and then in the order of the merges, and the id of each rank."""
    bytes_of = {character: byte for byte, character in enumerate(characters())}
    names = sorted((name for name in model["vocab"] if len(name) == 1), key=bytes_of.__getitem__)
    names += ["".join(pair) for pair in model["merges"]]
    ranks = {bytes(bytes_of[character] for character in name): rank for rank, name in enumerate(names)}
    return ranks, np.array([model["vocab"][name] for name in names])


def characters() -> list[str]:
    """The printable character of each byte (https://github.com/openai/gpt-2/blob/master/src/encoder.py, bytes_to_unicode)."""
    shown = [*range(33, 127), *range(161, 173), *range(174, 256)]
    hidden = [byte for byte in range(256) if byte not in shown]
    written = dict(zip(hidden, range(256, 256 + len(hidden)), strict=True)) | dict(zip(shown, shown, strict=True))
    return [chr(written[byte]) for byte in range(256)]


if __name__ == "__main__":
    main()

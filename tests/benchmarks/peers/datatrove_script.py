"""Near-duplicate removal by datatrove's four MinHash steps: `python datatrove_script.py FOLDER KEPT`."""

import sys
import tempfile
from pathlib import Path

import pyarrow.parquet as pq
from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.dedup import MinhashDedupCluster, MinhashDedupFilter, MinhashDedupSignature
from datatrove.pipeline.dedup.minhash import MinhashConfig, MinhashDedupBuckets
from datatrove.pipeline.readers import ParquetReader
from datatrove.pipeline.writers import ParquetWriter
from measured import kept_ids

BUCKETS, HASHES = 16, 8
"""128 values; the middle of the S-curve is at 0.71."""


def main() -> None:
    """Run the four steps on one core."""
    config = MinhashConfig(n_grams=5, num_buckets=BUCKETS, hashes_per_bucket=HASHES)
    reader = ParquetReader(sys.argv[1], text_key="text", id_key="id")
    with tempfile.TemporaryDirectory() as root:
        steps = [
            [reader, MinhashDedupSignature(output_folder=f"{root}/signatures", config=config)],
            [MinhashDedupBuckets(input_folder=f"{root}/signatures", output_folder=f"{root}/buckets", config=config)],
            [MinhashDedupCluster(input_folder=f"{root}/buckets", output_folder=f"{root}/remove", config=config)],
            [reader, MinhashDedupFilter(input_folder=f"{root}/remove"), ParquetWriter(f"{root}/kept", compression=None)],
        ]
        for number, step in enumerate(steps):
            tasks = BUCKETS if number == 1 else 1
            LocalPipelineExecutor(pipeline=step, tasks=tasks, workers=1, logging_dir=f"{root}/logs-{number}").run()
        tables = [pq.read_table(path, columns=["id"]) for path in Path(root, "kept").rglob("*.parquet")]
        kept_ids([identity for table in tables for identity in table["id"].to_pylist()], sys.argv[2])


if __name__ == "__main__":
    main()

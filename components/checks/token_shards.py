"""Checks token shards and their tokenizer: ids are in the vocabulary, counts agree, and decoding restores the text."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from components.artifacts import SPLITS, CheckReport, DomainTokens, Mixture, TokenIndex
from components.checks import suite
from components.checks.limits import TokenShardsLimits
from components.checks.own import own_tables
from components.checks.reading import metrics_table
from components.checks.rules import between, covers, has_rows, no_duplicates
from components.checks.suite import Table
from components.tokenizer.special_tokens import SpecialTokens

if TYPE_CHECKING:
    import pandas as pd

COUNTS = ("tokens", "documents", "bytes")
ITEM_BYTES = {"uint16": 2, "uint32": 4}
NOTHING = DomainTokens(tokens=0, documents=0, bytes=0, shards=())


def check(
    limits: TokenShardsLimits, *, artifact: Path, tokenizer: Path, output: Path, sizes: Mapping[str, int] | None = None
) -> CheckReport:
    """Check the token shards at `artifact`, made by the tokenizer at `tokenizer`, and write `output/token_shards.html`.

    `sizes` is the size of each token file in bytes, by its path in the artifact, if the files themselves are not on this machine;
    by default it is taken from the files at `artifact`.

    Raises `MissingArtifact` or `DamagedArtifact` if a file is missing or damaged.
    """
    index, domains = TokenIndex.read(artifact), sorted(Mixture.read(artifact).shares)
    vocabulary = SpecialTokens.read(tokenizer).vocab_size
    shards = metrics_table(artifact, "shards", ("split", "domain", "shard", *COUNTS, "min_id", "max_id", "digest"))
    tables = [
        _shards(_sizes(artifact) if sizes is None else sizes, shards, index, vocabulary),
        _splits(shards, index, domains, limits),
        _fertility(tokenizer, domains, limits),
    ]
    return suite.run("token_shards", [*tables, *own_tables(limits, artifact)], output)


def _sizes(artifact: Path) -> dict[str, int]:
    return {path.relative_to(artifact).as_posix(): path.stat().st_size for path in artifact.rglob("*.bin")}


def _shards(sizes: Mapping[str, int], shards: "pd.DataFrame", index: TokenIndex, vocabulary: int) -> Table:
    paths = [f"{split}/{domain}/{name}" for split, domain, name in shards[["split", "domain", "shard"]].to_numpy()]
    in_file = [sizes.get(path, 0) // ITEM_BYTES[index.dtype] for path in paths]
    # A shard holds at least one document: BOS, one id and EOS.
    rules = (
        has_rows(),
        between("tokens", 3),
        between("min_id", 0),
        between("max_id", 0, min(vocabulary, index.vocab_size) - 1),
        between("missing_in_file", 0, 0),
        no_duplicates("digest", critical=False),
    )
    rows = shards.assign(missing_in_file=shards["tokens"] - in_file)
    return Table(name="shards", rows=rows, key=("split", "domain", "shard"), rules=rules)


def _splits(shards: "pd.DataFrame", index: TokenIndex, domains: list[str], limits: TokenShardsLimits) -> Table:
    import pandas as pd

    listed = pd.DataFrame(_listed(index, domains), columns=["split", "domain", *COUNTS]).set_index(["split", "domain"])
    counted = shards.groupby(["split", "domain"])[list(COUNTS)].sum()
    difference = listed.sub(counted, fill_value=0).add_prefix("unlisted_").mul(-1)
    rows = listed.reindex(difference.index).join(difference).reset_index()
    rules = (
        between("tokens", limits.min_tokens_per_split, fields=("min_tokens_per_split",)),
        between(
            "bytes_per_token",
            limits.min_bytes_per_token,
            limits.max_bytes_per_token,
            fields=("min_bytes_per_token", "max_bytes_per_token"),
        ),
        *(between(f"unlisted_{name}", 0, 0) for name in COUNTS),
    )
    rows = rows.assign(bytes_per_token=rows["bytes"] / rows["tokens"])
    return Table(name="splits", rows=rows, key=("split", "domain"), rules=rules)


def _listed(index: TokenIndex, domains: list[str]) -> Iterator[tuple[str, str, int, int, int]]:
    """The counts of each split and domain in `index.json`; zeros for a domain of the mixture that is missing there."""
    for split in SPLITS:
        of_split = index.splits.get(split, {})
        for domain in sorted({*of_split, *domains}):
            held = of_split.get(domain, NOTHING)
            yield split, domain, held.tokens, held.documents, held.bytes


def _fertility(tokenizer: Path, domains: list[str], limits: TokenShardsLimits) -> Table:
    rows = metrics_table(tokenizer, "fertility", ("domain", "tokens_per_byte", "round_trip_failures"))
    rules = (
        covers("domain", domains),
        between("round_trip_failures", 0, limits.max_round_trip_failures, fields=("max_round_trip_failures",)),
        between(
            "tokens_per_byte",
            1 / limits.max_bytes_per_token,
            1 / limits.min_bytes_per_token,
            fields=("min_bytes_per_token", "max_bytes_per_token"),
        ),
    )
    return Table(name="fertility", rows=rows, key=("domain",), rules=rules)

"""Checks an evaluation: every model was measured on every domain, with finite results, over the same bytes."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from components.artifacts import BYTE_UNIGRAM, CheckReport, Findings
from components.checks import suite
from components.checks.limits import EvaluationLimits
from components.checks.omissions import omitted
from components.checks.own import own_tables
from components.checks.reading import metrics_table
from components.checks.rules import between, covers, finite, holds, no_duplicates
from components.checks.suite import Table

if TYPE_CHECKING:
    import pandas as pd

BITS_COLUMNS = ("model", "domain", "bits_per_byte", "documents", "bytes")
BETTER = {"answer_loss": -1, "reward_margin": 1}
"""Measures that SFT and DPO are meant to improve on held-out data: -1 if lower is better, 1 if higher is better."""

TASK_COLUMNS = ("model", "task", "metric", "value", "items", "chance", "clean_value", "clean_items")
CONTAMINATION_COLUMNS = ("benchmark", "items", "contaminated", "not_searched", "documents")


def check(limits: EvaluationLimits, *, artifact: Path, output: Path) -> CheckReport:
    """Check the evaluation report at `artifact` and write the report to `output/evaluation.html`.

    Raises `MissingArtifact` or `DamagedArtifact` if a metrics table is missing or damaged.
    """
    bits = metrics_table(artifact, "bits_per_byte", BITS_COLUMNS)
    tables = [
        _bits(bits, Findings.read(artifact).domain_shares, limits),
        _domains(bits),
        _gaps(bits, limits),
        _tasks(artifact, limits),
        _benchmarks(artifact, limits),
        _contamination(artifact, limits),
        _alignment(artifact),
        omitted(artifact, limits.max_omitted_share),
    ]
    return suite.run("evaluation", [*tables, *own_tables(limits, artifact)], output)


def _bits(bits: "pd.DataFrame", shares: Mapping[str, float], limits: EvaluationLimits) -> Table:
    """Bits per byte, with a row for every expected model and domain; a measurement that is missing has no value."""
    import pandas as pd

    models = dict.fromkeys((*limits.min_models, *limits.min_baselines, *bits["model"]))
    wanted = pd.MultiIndex.from_product([models, sorted({*shares, *bits["domain"]})], names=["model", "domain"])
    rows = wanted.to_frame(index=False).merge(bits, how="left")
    rules = (
        no_duplicates("measurement"),
        between(
            "bits_per_byte", limits.min_bits_per_byte, limits.max_bits_per_byte, fields=("min_bits_per_byte", "max_bits_per_byte")
        ),
        between("documents", limits.min_documents_per_domain, fields=("min_documents_per_domain",)),
        between("document_bytes", limits.min_document_bytes, fields=("min_document_bytes",)),
    )
    derived = rows.assign(measurement=rows["model"] + " on " + rows["domain"], document_bytes=rows["bytes"] / rows["documents"])
    return Table(name="bits_per_byte", rows=derived, key=("model", "domain"), rules=rules)


def _domains(bits: "pd.DataFrame") -> Table:
    """Bytes scored in each domain: the count must be the same for all models, since each scores every byte once."""
    measured = bits.groupby("domain", as_index=False).agg(min_bytes=("bytes", "min"), max_bytes=("bytes", "max"))
    rows = measured.assign(difference=measured["max_bytes"] - measured["min_bytes"])
    return Table(name="bytes", rows=rows, key=("domain", "min_bytes", "max_bytes"), rules=(between("difference", 0, 0),))


def _gaps(bits: "pd.DataFrame", limits: EvaluationLimits) -> Table:
    """Models compared with the byte-unigram baseline. A failure only warns: the promotion rule decides."""
    reference = bits[bits["model"] == BYTE_UNIGRAM].set_index("domain")["bits_per_byte"]
    models = bits[bits["model"].isin(limits.min_models)]
    rows = models.assign(above_unigram=models["bits_per_byte"] - models["domain"].map(reference))
    rules = (between("above_unigram", None, 0, critical=False),)
    return Table(name="models", rows=rows, key=("model", "domain"), rules=rules)


def _tasks(artifact: Path, limits: EvaluationLimits) -> Table:
    rules = (
        covers("model", limits.min_models, fields=("min_models",)),
        finite("value"),
        between("chance", 0, 1),
        between("items", limits.min_items_per_task, critical=False, fields=("min_items_per_task",)),
    )
    rows = metrics_table(artifact, "tasks", TASK_COLUMNS)
    return Table(name="tasks", rows=rows, key=("model", "task", "metric"), rules=rules)


def _benchmarks(artifact: Path, limits: EvaluationLimits) -> Table:
    """Scores on all items compared with scores on clean items.

    Failures are only warnings, since documents that contain benchmark items were refused in curation.
    """
    tasks = metrics_table(artifact, "tasks", TASK_COLUMNS)
    rows = tasks[tasks["clean_items"].notna()]
    rules = (
        between("clean_items", limits.min_items_per_task, critical=False, fields=("min_items_per_task",)),
        between("above_clean", None, limits.max_above_clean, critical=False, fields=("max_above_clean",)),
    )
    rows = rows.assign(above_clean=rows["value"] - rows["clean_value"])
    return Table(name="benchmarks", rows=rows, key=("model", "task", "metric"), rules=rules)


def _contamination(artifact: Path, limits: EvaluationLimits) -> Table:
    rows = metrics_table(artifact, "contamination", CONTAMINATION_COLUMNS)
    rules = (
        holds("counted", "contaminated items and items not searched for are together at most all items"),
        between("contaminated_share", 0, limits.max_contaminated_share, critical=False, fields=("max_contaminated_share",)),
    )
    derived = rows.assign(
        counted=rows["contaminated"] + rows["not_searched"] <= rows["items"],
        contaminated_share=rows["contaminated"] / rows["items"],
    )
    return Table(name="contamination", rows=derived, key=("benchmark",), rules=rules)


def _alignment(artifact: Path) -> Table:
    """Measures before and after alignment. No gain is only a warning: with few steps, alignment may not help yet."""
    rows = metrics_table(artifact, "alignment", ("measure", "kind", "before", "after"))
    # Measures without a direction are informative only: their gain is 0.
    gain = (rows["after"] - rows["before"]) * rows["measure"].map(BETTER).fillna(0)
    rules = (covers("measure", BETTER), finite("before"), finite("after"), between("gain", 0, critical=False))
    return Table(name="alignment", rows=rows.assign(gain=gain), key=("measure", "kind"), rules=rules)

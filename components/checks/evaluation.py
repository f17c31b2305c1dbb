"""The check of an evaluation: every model on every domain, finite, over the same bytes."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from components.artifacts import BYTE_UNIGRAM, CheckReport, Findings
from components.checks import suite
from components.checks.limits import EvaluationLimits
from components.checks.own import own_tables
from components.checks.reading import metrics_table
from components.checks.rules import between, covers, finite, holds, no_duplicates
from components.checks.suite import Table

if TYPE_CHECKING:
    import pandas as pd

BITS_COLUMNS = ("model", "domain", "bits_per_byte", "documents", "bytes")
BETTER = {"answer_loss": -1, "reward_margin": 1}
"""What SFT and DPO are for, on held-out data: whether less (-1) or more (1) is better."""
TASK_COLUMNS = ("model", "task", "metric", "value", "items", "chance", "clean_value", "clean_items")
CONTAMINATION_COLUMNS = ("benchmark", "items", "contaminated", "not_searched", "documents")


def check(limits: EvaluationLimits, *, artifact: Path, output: Path) -> CheckReport:
    """Check the evaluation report at `artifact`; the page is `output/evaluation.html`.

    Raises `MissingArtifact` or `DamagedArtifact`.
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
    ]
    return suite.run("evaluation", [*tables, *own_tables(limits, artifact)], output)


def _bits(bits: "pd.DataFrame", shares: Mapping[str, float], limits: EvaluationLimits) -> Table:
    """A row for every model and domain that should be there, without a value where it is not."""
    import pandas as pd

    models = dict.fromkeys((*limits.min_models, *limits.min_baselines, *bits["model"]))
    wanted = pd.MultiIndex.from_product([models, sorted({*shares, *bits["domain"]})], names=["model", "domain"])
    rows = wanted.to_frame(index=False).merge(bits, how="left")
    rules = (
        no_duplicates("measurement"),
        between("bits_per_byte", limits.min_bits_per_byte, limits.max_bits_per_byte),
        between("documents", limits.min_documents_per_domain),
        between("document_bytes", limits.min_document_bytes),
    )
    derived = rows.assign(measurement=rows["model"] + " on " + rows["domain"], document_bytes=rows["bytes"] / rows["documents"])
    return Table(name="bits_per_byte", rows=derived, key=("model", "domain"), rules=rules)


def _domains(bits: "pd.DataFrame") -> Table:
    """How far the models differ in what they were measured on: each byte scored once gives all the same count."""
    measured = bits.groupby("domain", as_index=False).agg(least=("bytes", "min"), most=("bytes", "max"))
    rows = measured.assign(difference=measured["most"] - measured["least"])
    return Table(name="bytes", rows=rows, key=("domain", "least", "most"), rules=(between("difference", 0, 0),))


def _gaps(bits: "pd.DataFrame", limits: EvaluationLimits) -> Table:
    """Models beside the byte-unigram. Only a warning: whether to register them is for the promotion rule to say."""
    reference = bits[bits["model"] == BYTE_UNIGRAM].set_index("domain")["bits_per_byte"]
    models = bits[bits["model"].isin(limits.min_models)]
    rows = models.assign(above_unigram=models["bits_per_byte"] - models["domain"].map(reference))
    rules = (between("above_unigram", None, 0, critical=False),)
    return Table(name="models", rows=rows, key=("model", "domain"), rules=rules)


def _tasks(artifact: Path, limits: EvaluationLimits) -> Table:
    rules = (
        covers("model", limits.min_models),
        finite("value"),
        between("chance", 0, 1),
        between("items", limits.min_items_per_task, critical=False),
    )
    rows = metrics_table(artifact, "tasks", TASK_COLUMNS)
    return Table(name="tasks", rows=rows, key=("model", "task", "metric"), rules=rules)


def _benchmarks(artifact: Path, limits: EvaluationLimits) -> Table:
    """Scores on all items beside those on clean ones; only warnings, as the documents that held items were refused."""
    tasks = metrics_table(artifact, "tasks", TASK_COLUMNS)
    rows = tasks[tasks["clean_items"].notna()]
    rules = (
        between("clean_items", limits.min_items_per_task, critical=False),
        between("above_clean", None, limits.max_above_clean, critical=False),
    )
    rows = rows.assign(above_clean=rows["value"] - rows["clean_value"])
    return Table(name="benchmarks", rows=rows, key=("model", "task", "metric"), rules=rules)


def _contamination(artifact: Path, limits: EvaluationLimits) -> Table:
    rows = metrics_table(artifact, "contamination", CONTAMINATION_COLUMNS)
    rules = (
        holds("counted", "contaminated items and those not searched for are no more than all"),
        between("contaminated_share", 0, limits.max_contaminated_share, critical=False),
    )
    derived = rows.assign(
        counted=rows["contaminated"] + rows["not_searched"] <= rows["items"],
        contaminated_share=rows["contaminated"] / rows["items"],
    )
    return Table(name="contamination", rows=derived, key=("benchmark",), rules=rules)


def _alignment(artifact: Path) -> Table:
    """Only a warning where alignment did not help: at few steps that is no fault of the evaluation."""
    rows = metrics_table(artifact, "alignment", ("measure", "kind", "before", "after"))
    # Without a direction the gain is 0: such measures accompany the others.
    gain = (rows["after"] - rows["before"]) * rows["measure"].map(BETTER).fillna(0)
    rules = (covers("measure", BETTER), finite("before"), finite("after"), between("gain", 0, critical=False))
    return Table(name="alignment", rows=rows.assign(gain=gain), key=("measure", "kind"), rules=rules)

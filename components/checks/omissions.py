"""The table of what a stage left out, with the limit of its share; shared by the checks of all stages that leave out items."""

from pathlib import Path

from components.artifacts import NOT_NEEDED, Omissions
from components.checks.rules import holds
from components.checks.suite import Table


def omitted(artifact: Path, max_share: float, unit: str = "") -> Table:
    """Requires that at most `max_share` of the items of each source were left out.

    With `unit`, only items of that unit are checked. Copies, and items beyond a maximum number, do not count.

    Raises `DamagedArtifact` if the record is damaged.
    """
    import pandas as pd

    rows = []
    for (source, own), omissions in Omissions.read_if_any(artifact).sources.items():
        if unit not in ("", own):
            continue
        bad = [omission for omission in omissions if omission.reason not in NOT_NEEDED]
        share = sum(omission.count for omission in bad) / omissions[0].total
        reasons = ", ".join(f"{omission.count:,} {omission.reason}" for omission in bad)
        cases = "; ".join(str(case) for omission in bad for case in omission.cases[:1])
        within = share <= max_share
        rows.append({"source": source, "unit": own, "share": share, "reasons": reasons, "cases": cases, "within": within})
    columns = ["source", "unit", "share", "reasons", "cases", "within"]
    sentence = f"at most {100 * max_share:g} % of a source is left out"
    table = pd.DataFrame(rows, columns=columns).astype({"within": bool})
    return Table(
        name="left out",
        rows=table,
        key=("source", "unit", "share", "reasons", "cases"),
        rules=(holds("within", sentence, fields=("max_omitted_share",)),),
    )

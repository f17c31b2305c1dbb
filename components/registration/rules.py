"""The promotion rule: which models may be registered."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from components.artifacts import CheckReport
from components.errors import RegistrationRefused
from components.names import BYTE_UNIGRAM


def refuse_unless_promotable(
    model: str, report: Mapping[str, Any], checks: Sequence[CheckReport], verdicts: Sequence[Mapping[str, Any]] = ()
) -> None:
    """Pass if every check passed and `model` beats the byte-unigram baseline in every domain of the evaluation report.

    A model no better than that baseline has learned nothing of how bytes follow each other.

    `report` is the content of `report.json`. A verdict that a training came out above its predicted interval refuses too; below
    it, the model is better than predicted, which is an error of the law alone.

    Raises:
        RegistrationRefused: with every reason there is.
    """
    if reasons := [*_failed(checks), *_too_weak(model, report["bits_per_byte"]), *_worse_than_planned(verdicts)]:
        raise RegistrationRefused(f"model {model!r} is not registered: {'; '.join(reasons)}")


def _failed(checks: Sequence[CheckReport]) -> Iterator[str]:
    for check in checks:
        if check.failures:
            failures = ", ".join(f"{failure.name} (observed {failure.observed})" for failure in check.failures)
            yield f"check {check.name} failed: {failures}"


def _too_weak(model: str, rows: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Compared so that a figure that is not a number counts as too weak."""
    measured = {(row["model"], row["domain"]): row["bits_per_byte"] for row in rows}
    domains = [domain for name, domain in measured if name == BYTE_UNIGRAM]
    if not domains:
        yield f"the evaluation report holds no {BYTE_UNIGRAM} baseline"
    for domain in domains:
        bits, baseline = measured.get((model, domain)), measured[BYTE_UNIGRAM, domain]
        if bits is None:
            yield f"the evaluation report does not measure it on {domain}"
        elif not bits < baseline:
            yield f"{bits:.3f} bits per byte on {domain}, no better than {BYTE_UNIGRAM} with {baseline:.3f}"


def _worse_than_planned(verdicts: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for verdict in verdicts:
        if verdict["place"] == "above":
            what = f"{verdict['actual']:.4f} {verdict['figure'].replace('_', ' ')} of the base model"
            yield f"{what} lies above the interval that its plan predicted, {verdict['low']:.4f} to {verdict['high']:.4f}"

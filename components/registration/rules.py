"""The promotion rule: which models may be registered."""

from collections.abc import Iterator, Sequence

from components.artifacts import BYTE_UNIGRAM, CheckReport, Findings, PlanVerdict
from components.errors import RegistrationRefused


def refuse_unless_promotable(
    model: str, findings: Findings, checks: Sequence[CheckReport], verdicts: Sequence[PlanVerdict] = ()
) -> None:
    """Pass if every check passed and `model` beats the byte-unigram baseline in every domain of the evaluation report.

    A model no better than that baseline has learned nothing of how bytes follow each other.

    A verdict that a training came out above its predicted interval refuses too; below
    it, the model is better than predicted, which is an error of the law alone.

    Raises:
        RegistrationRefused: with every reason there is.
    """
    if reasons := [*_failed(checks), *_too_weak(model, findings), *_worse_than_planned(verdicts)]:
        raise RegistrationRefused(f"model {model!r} is not registered: {'; '.join(reasons)}")


def _failed(checks: Sequence[CheckReport]) -> Iterator[str]:
    for check in checks:
        if check.failures:
            failures = ", ".join(f"{failure.name} (observed {failure.observed})" for failure in check.failures)
            yield f"check {check.name} failed: {failures}"


def _too_weak(model: str, findings: Findings) -> Iterator[str]:
    """Compared so that a figure that is not a number counts as too weak."""
    measured = findings.bits
    domains = [domain for name, domain in measured if name == BYTE_UNIGRAM]
    if not domains:
        yield f"the evaluation report holds no {BYTE_UNIGRAM} baseline"
    for domain in domains:
        bits, baseline = measured.get((model, domain)), measured[BYTE_UNIGRAM, domain]
        if bits is None:
            yield f"the evaluation report does not measure it on {domain}"
        elif not bits < baseline:
            yield f"{bits:.3f} bits per byte on {domain}, no better than {BYTE_UNIGRAM} with {baseline:.3f}"


def _worse_than_planned(verdicts: Sequence[PlanVerdict]) -> Iterator[str]:
    for verdict in verdicts:
        if verdict.position == "above":
            what = f"{verdict.actual:.4f} {verdict.figure_in_words} of the base model"
            yield f"{what} lies above the interval that its plan predicted, {verdict.low:.4f} to {verdict.high:.4f}"

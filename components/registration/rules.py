"""The promotion rule: which models may be registered."""

from collections.abc import Iterator, Sequence

from components.artifacts import BYTE_UNIGRAM, CheckReport, Findings, PlanVerdict
from components.errors import RegistrationRefused


def refuse_unless_promotable(
    model: str, findings: Findings, checks: Sequence[CheckReport], verdicts: Sequence[PlanVerdict] = ()
) -> None:
    """Raise an error unless every check passed and `model` beats the byte-unigram baseline in every domain of the report.

    A model that is not better than this baseline makes no use of context. A training result above its predicted interval is
    also a reason to refuse; a result below it is not, because the model is better than predicted.

    Raises:
        RegistrationRefused: the message lists all reasons.
    """
    if reasons := [*_failed(checks), *_too_weak(model, findings), *_worse_than_planned(verdicts)]:
        raise RegistrationRefused(f"model {model!r} is not registered: {'; '.join(reasons)}")


def _failed(checks: Sequence[CheckReport]) -> Iterator[str]:
    for check in checks:
        if check.failures:
            failures = ", ".join(f"{failure.name} (observed {failure.observed})" for failure in check.failures)
            yield f"check {check.name} failed: {failures}"


def _too_weak(model: str, findings: Findings) -> Iterator[str]:
    """A reason for each domain in which the model does not beat the baseline. NaN counts as not better."""
    measured = findings.bits
    domains = [domain for name, domain in measured if name == BYTE_UNIGRAM]
    if not domains:
        yield f"the evaluation report has no {BYTE_UNIGRAM} baseline"
    for domain in domains:
        bits, baseline = measured.get((model, domain)), measured[BYTE_UNIGRAM, domain]
        if bits is None:
            yield f"the evaluation report has no result for it on {domain}"
        elif not bits < baseline:
            yield f"{bits:.3f} bits per byte on {domain} is not better than {BYTE_UNIGRAM} with {baseline:.3f}"


def _worse_than_planned(verdicts: Sequence[PlanVerdict]) -> Iterator[str]:
    for verdict in verdicts:
        if verdict.position == "above":
            what = f"{verdict.actual:.4f} {verdict.figure_in_words} of the base model"
            yield f"{what} is above the interval that its plan predicted, {verdict.low:.4f} to {verdict.high:.4f}"

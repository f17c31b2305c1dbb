"""Problems of sources of which more items would be left out than a check allows."""

from collections.abc import Iterator

from components.artifacts import OmissionTally
from components.errors import SourceError
from workflows.preflight.question import Problem


def omission_problems(field: str, tally: OmissionTally, max_share: float, setting: str) -> Iterator[Problem]:
    """A problem for each source of which more than `max_share`, the value of `setting`, cannot be used."""
    for (source, unit), omissions in tally.omissions().sources.items():
        count, total = sum(omission.count for omission in omissions), omissions[0].total
        if count > max_share * total:
            reasons = ", ".join(f"{omission.count:,} {omission.reason}" for omission in omissions)
            what = f"{source}: {count:,} of {total:,} {unit} cannot be used ({reasons}); the first is {omissions[0].cases[0]}"
            yield Problem(field, SourceError(f"{what}; allowed: {100 * max_share:g} % ({setting})"))

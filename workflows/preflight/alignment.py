"""Whether the user's conversations and preference pairs can be read, and whether there are as many as the checks require."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

from components.alignment.config import ConversationsConfig, PreferencePairsConfig
from components.artifacts import OmissionTally
from components.checks.limits import ConversationsLimits, PreferencePairsLimits
from components.errors import LongrunError, SourceError
from workflows.preflight.question import Problem, Question
from workflows.preflight.sampling import is_readable_here, sampled

if TYPE_CHECKING:
    from components.alignment.jsonl import JsonlSource

Parse = Callable[[Mapping[str, Any]], object]
"""The stage's function that reads the JSON object of a line."""


@dataclass(frozen=True, kw_only=True)
class AlignmentFiles(Question):
    """Do the files of a config have the form that its stage reads?"""

    IS_REMEMBERED: ClassVar[bool] = True
    SECTION: ClassVar[str]
    """Name of the config and of its limits in a recipe."""

    config: ConversationsConfig | PreferencePairsConfig
    limits: ConversationsLimits | PreferencePairsLimits
    hidden: tuple[str, ...] = ()
    """Files that cannot be read from this machine."""

    def _problems(self, parse: Parse, limit: str) -> Iterator[Problem]:
        """The problems of each file; and of all together, if every line was read and `limit`, by split, is not reached.

        Without `limit` there may be others, such as those made from packages.
        """
        from components.alignment.jsonl import named_files

        try:
            files = named_files(self.config.sources)
        except LongrunError as error:
            yield Problem(f"{self.SECTION}.sources", error)
            return
        usable, complete = 0, bool(files)
        for number, file in enumerate(files):
            if file.uri in self.hidden:
                complete = False
                continue
            try:
                count, whole = _usable_lines(file, parse, self.limits.max_omitted_share, self.SECTION)
            except LongrunError as error:
                complete = False
                yield Problem(f"{self.SECTION}.sources.{number}", error)
            else:
                usable, complete = usable + count, complete and whole
        minimum = getattr(self.limits, limit) if limit else 0
        if complete and usable < 2 * minimum:
            what = f"{usable} usable lines in all files; checks.{self.SECTION}.{limit} requires {minimum} in each split"
            yield Problem(f"{self.SECTION}.sources", SourceError(f"{what}: add data, or lower the limit"))


@dataclass(frozen=True, kw_only=True)
class ConversationFiles(AlignmentFiles):
    """Do the files of conversations have the form that is read, and enough conversations?"""

    STAGE: ClassVar[str] = "sft"
    SECTION: ClassVar[str] = "conversations"

    config: ConversationsConfig
    limits: ConversationsLimits

    def problems(self) -> Iterator[Problem]:
        """Read each file as the stage does."""
        if self.config.sources:
            from components.alignment.conversations import parse_line

            yield from self._problems(parse_line, "" if self.config.distributions else "min_conversations_per_split")


@dataclass(frozen=True, kw_only=True)
class PairFiles(AlignmentFiles):
    """Do the files of preference pairs have the form that is read, and enough pairs?"""

    STAGE: ClassVar[str] = "dpo"
    SECTION: ClassVar[str] = "preference_pairs"

    config: PreferencePairsConfig
    limits: PreferencePairsLimits

    def problems(self) -> Iterator[Problem]:
        """Read each file as the stage does."""
        if self.config.sources:
            from components.alignment.preference_pairs import parse_line

            yield from self._problems(parse_line, "min_pairs_per_split")


def _usable_lines(file: "JsonlSource", parse: Parse, max_omitted_share: float, section: str) -> tuple[int, bool]:
    """The number of usable lines that were read, and whether these are all lines of the file.

    Raises:
        SourceError: the file cannot be read, has no usable line, or more unusable ones than the limit allows.
    """
    if not is_readable_here(file.location, by_line=True):
        return 0, False
    with sampled(file.location) as sample:
        read = replace(file, uri=file.uri if sample.whole else str(sample.path), tally=OmissionTally(), refusals=[])
        try:
            usable = [number for number, _ in read.rows(parse)]
        except SourceError as error:
            raise SourceError(sample.named(str(error), file.uri)) from error
    bad = [refusal for refusal in read.refusals if sample.represents(refusal.line)]
    lines = len(bad) + sum(map(sample.represents, usable))
    if len(bad) > max_omitted_share * lines:
        first = bad[0]
        raise SourceError(
            f"{file.uri}: {len(bad)} of {lines} lines{'' if sample.whole else ' that were drawn'} cannot be used; allowed: "
            f"{100 * max_omitted_share:g} % (checks.{section}.max_omitted_share); the first is {sample.where(first.line)}: "
            f"{first.detail}"
        )
    return len(usable), sample.whole

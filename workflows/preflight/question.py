"""What the preflight is made of: questions, which a recipe's values and files answer, and the problems that they find."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import ClassVar

from components.errors import LongrunError, single_line
from components.file_names import FileName, file_names
from components.locations import files_in, find


@dataclass(frozen=True, slots=True)
class Problem:
    """Something that would end a run later."""

    field: str
    """Dotted name of the recipe's field or the option to change; empty if the error names it."""
    error: LongrunError
    """The error that a stage would raise: what is wrong, where, and what is allowed."""

    def __str__(self) -> str:
        return f"{self.field}: {single_line(self.error)}" if self.field else single_line(self.error)


@dataclass(frozen=True, kw_only=True)
class Question(ABC):
    """One question about a recipe, with the part of the recipe that decides its answer."""

    STAGE: ClassVar[str]
    """The first stage that would fail. The question is not asked of a run that ends before it."""
    IS_REMEMBERED: ClassVar[bool] = False
    """Whether the answer depends only on the fields and on `facts`, so that it need not be asked again."""

    def facts(self) -> dict[str, str]:
        """What the answer depends on besides the fields: for each file that they name, size and time, or in a bucket the ETag.

        Raises `SourceError` or `StoreError` if a file does not exist or its store cannot be reached.
        """
        return {name.field: stamp_of_files(name) for name in file_names(self)}

    @abstractmethod
    def problems(self) -> Iterator[Problem]:
        """Ask, with the functions that the stage itself calls."""


def problems_of(field: str, call: Callable[[], object]) -> Iterator[Problem]:
    """The error that `call` raises, as a problem of `field`; nothing if it returns."""
    try:
        call()
    except LongrunError as error:
        yield Problem(field, error)


def stamp_of_files(name: FileName) -> str:
    """A string that changes when one of the files does. Raises as `Question.facts`."""
    entries = files_in(name.uri, name.patterns) if name.patterns else find(name.uri, name.field)
    return " ".join(f"{entry.location} {entry.size} {entry.stamp}" for entry in entries)

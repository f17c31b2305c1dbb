"""Whether an existing tokenizer, checkpoint or scaling law that a recipe starts from can be used."""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from components.locations import in_bucket
from components.pretraining.config import PretrainingConfig
from components.scaling.config import ScalingConfig
from components.tokenizer.config import TokenizerConfig
from workflows.preflight.question import Problem, Question, problems_of


@dataclass(frozen=True, kw_only=True)
class TokenizerStart(Question):
    """Can the tokenizer at `tokenizer.start` be imported?"""

    STAGE: ClassVar[str] = "tokenizer"
    IS_REMEMBERED: ClassVar[bool] = True

    config: TokenizerConfig

    def problems(self) -> Iterator[Problem]:
        """Import it into a temporary directory."""
        yield from problems_of("tokenizer.start", self._import)

    def _import(self) -> None:
        from components.locations import fetched_folder
        from components.tokenizer.config import TOKENIZER_FILES
        from components.tokenizer.imported import import_tokenizer
        from components.tokenizer.origin import files_of

        files_of(self.config.start)
        with fetched_folder(self.config.start, TOKENIZER_FILES) as directory, tempfile.TemporaryDirectory() as output:
            import_tokenizer(directory, Path(output), self.config.padded)


@dataclass(frozen=True, kw_only=True)
class CheckpointStart(Question):
    """Can the checkpoint at `pretraining.start` be imported? Of the weights, only their names are read."""

    STAGE: ClassVar[str] = "tokenizer"
    IS_REMEMBERED: ClassVar[bool] = True

    config: PretrainingConfig

    def problems(self) -> Iterator[Problem]:
        """Import its tokenizer, and compare its weights with its config."""
        yield from problems_of("pretraining.start", self._import)

    def _import(self) -> None:
        from components.locations import fetched_folder
        from components.model.huggingface import StoredWeights
        from components.model.origin import files_of
        from components.pretraining.pretrain import refuse_another_shape
        from components.tokenizer.config import TOKENIZER_FILES
        from components.tokenizer.imported import import_tokenizer

        files_of(self.config.start)
        with fetched_folder(self.config.start, TOKENIZER_FILES) as directory, tempfile.TemporaryDirectory() as output:
            import_tokenizer(directory, Path(output))
            if self.config.shape is not None:
                refuse_another_shape(self.config.shape, directory)
            if not in_bucket(self.config.start):
                StoredWeights(directory)


@dataclass(frozen=True, kw_only=True)
class LawFile(Question):
    """Is the law of `scaling.law` there?"""

    STAGE: ClassVar[str] = "scaling"
    IS_REMEMBERED: ClassVar[bool] = True

    config: ScalingConfig

    def problems(self) -> Iterator[Problem]:
        """Read it."""
        from components.scaling.laws.files import find_law

        yield from problems_of("scaling.law", lambda: find_law(self.config.law))

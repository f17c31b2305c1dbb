"""The lines of conversations and preference pairs, and what their metrics tables keep of them."""

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from components.alignment.jsonl import write_jsonl
from components.errors import DamagedArtifact
from components.files import read_json_lines
from components.names import SPLITS


@dataclass(frozen=True, kw_only=True, slots=True)
class Conversation:
    """Messages that alternate from user to assistant and end with an answer."""

    id: str
    messages: Sequence[Mapping[str, str]]
    """`role` ("user" or "assistant") and `content` of each."""
    source: str
    """`python-environment:`, or the URI of the user's file."""
    uri: str
    """The function or the line that it comes from."""
    group: str
    """What is never divided between splits: a distribution, the user's own group, or the first prompt's hash."""
    licence: str
    task: str
    """"describe", "declare" or "implement" for embedded instructions, "user" for a user's data."""

    def measures(self) -> dict[str, str | int]:
        """The columns of the metrics table: counts of messages, and characters by role."""
        sizes = {role: sum(len(m["content"]) for m in self.messages if m["role"] == role) for role in ("user", "assistant")}
        counts = {"messages": len(self.messages), "prompt_characters": sizes["user"], "answer_characters": sizes["assistant"]}
        return {"id": self.id, "source": self.source, "group": self.group, "task": self.task, **counts}


@dataclass(frozen=True, kw_only=True, slots=True)
class PreferencePair:
    """One user message with a better and a worse answer."""

    id: str
    kind: str
    """"author-vs-sample", "right-vs-other" or "user"."""
    prompt: str
    chosen: str
    rejected: str
    source: str
    group: str

    def measures(self) -> dict[str, str | int]:
        """The columns of the metrics table: characters of each text."""
        texts = {"prompt": self.prompt, "chosen": self.chosen, "rejected": self.rejected}
        sizes = {f"{name}_characters": len(text) for name, text in texts.items()}
        return {"id": self.id, "kind": self.kind, "group": self.group, **sizes}


AnyRecord = TypeVar("AnyRecord", Conversation, PreferencePair)


def identifier(*fields: str | int) -> str:
    """An id of 32 hex digits that depends on all fields and nothing else."""
    return hashlib.sha256(json.dumps(fields).encode()).hexdigest()[:32]


def write_records(name: str, splits: Mapping[str, Sequence[Conversation | PreferencePair]], output: Path) -> None:
    """Write `{split}.jsonl` and `metrics/{name}.parquet`."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    for split in SPLITS:
        write_jsonl(output / f"{split}.jsonl", map(dataclasses.asdict, splits[split]))
    (output / "metrics").mkdir(exist_ok=True)
    rows = [{"split": split, **record.measures()} for split in SPLITS for record in splits[split]]
    pq.write_table(pa.Table.from_pylist(rows), output / "metrics" / f"{name}.parquet", compression="zstd")


def read_conversations(artifact: Path, split: str) -> list[Conversation]:
    """The conversations of one split. Raises `MissingArtifact` or `DamagedArtifact`."""
    return _read(Conversation, artifact / f"{split}.jsonl")


def read_pairs(artifact: Path, split: str) -> list[PreferencePair]:
    """The preference pairs of one split. Raises `MissingArtifact` or `DamagedArtifact`."""
    return _read(PreferencePair, artifact / f"{split}.jsonl")


def _read(record: type[AnyRecord], path: Path) -> list[AnyRecord]:
    what, remedy = f"lines of {record.__name__}", "run the step that writes it again"
    rows = read_json_lines(path, remedy, what=what)
    try:
        return [record(**row) for row in rows]
    except TypeError as error:
        raise DamagedArtifact(f"{path}: not {what} ({error}); {remedy}") from error

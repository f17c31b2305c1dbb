"""Saves a trial's progress in a file in the home, so that it can be interrupted and continued; in the end the file is its
report."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.files import write_text

Facts = dict[str, Any]


@dataclass(frozen=True)
class Report:
    """Results of the trial's finished steps by name, and notes of the current one."""

    path: Path

    def facts(self, step: str) -> Facts | None:
        """The result of a finished step; None if it is not finished."""
        entry = self._read()["steps"].get(step)
        return None if entry is None else entry["facts"]

    def run(self, step: str, do: Callable[[], Facts]) -> Facts:
        """Run a step unless it is finished; returns its result."""
        if (known := self.facts(step)) is not None:
            return known
        started = time.time()
        facts = do()
        entry = {"seconds": round(time.time() - started, 1), "ended": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())}
        content = self._read()
        content["steps"][step] = entry | {"facts": facts}
        self._write(content)
        return facts

    def noted(self, name: str, make: Callable[[], str]) -> str:
        """A value that is created once and saved, such as a run's id, so that after an interruption the same run is used."""
        if name not in self._read()["notes"]:
            made = make()
            # making one may have noted others
            content = self._read()
            content["notes"][name] = made
            self._write(content)
        return self.note(name)

    def forget(self, name: str) -> None:
        """Delete a saved value."""
        content = self._read()
        content["notes"].pop(name, None)
        self._write(content)

    def note(self, name: str) -> str:
        """A saved value; empty if there is none."""
        return str(self._read()["notes"].get(name, ""))

    def lines(self) -> list[str]:
        """One line per finished step: its time and result."""
        steps = self._read()["steps"]
        return [f"{name:<18}{entry['seconds']:>9.1f} s  {json.dumps(entry['facts'])}" for name, entry in steps.items()]

    def _read(self) -> Facts:
        content: Facts = json.loads(self.path.read_text(encoding="utf-8")) if self.path.is_file() else {"steps": {}, "notes": {}}
        return content

    def _write(self, content: Facts) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        write_text(self.path, json.dumps(content, indent=1))

"""What a benchmark writes: rows of ours beside a reference, with the ratio and the target it is held to."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True, slots=True)
class Row:
    """One figure. `target` bounds `ratio`, which is ours over reference."""

    name: str
    ours: float
    reference: float
    target: str
    unit: str

    @property
    def ratio(self) -> float:
        """Ours over the reference."""
        return self.ours / self.reference


def write(name: str, rows: list[Row], home: Path) -> None:
    """Write `bench/NAME.json` below the home and show the rows."""
    path = home / "bench" / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps([{**asdict(row), "ratio": row.ratio} for row in rows], indent=1) + "\n")
    for row in rows:
        print(f"{row.name:<44}{row.ours:>10.3f}{row.reference:>10.3f} {row.unit:<10} ratio {row.ratio:.3f} (target {row.target})")
    print(f"written to {path}")

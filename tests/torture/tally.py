"""What a harness tried, and what went wrong."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

LOST, WRONG, CRASHED = "lost", "wrong", "traceback"


@dataclass
class Tally:
    """Counts of one harness.

    Attributes
    ----------
    name : str
    n_tried, n_hit : int
        Attempts; those that the disturbance hit while there was something to disturb.
    faults : list of (kind, what)
        `LOST`: acknowledged work or a good file; `WRONG`: rows; `CRASHED`: a traceback or worse.
    """

    name: str
    n_tried: int = 0
    n_hit: int = 0
    faults: list[tuple[str, str]] = field(default_factory=list)

    def add(self, kind: str, what: str) -> None:
        self.faults.append((kind, what))

    def check(self, is_well: bool, kind: str, what: str) -> bool:
        """Note a fault unless all is well; return whether it is."""
        if not is_well:
            self.add(kind, what)
        return is_well

    def count(self, kind: str) -> int:
        return sum(found == kind for found, _ in self.faults)

    def row(self) -> tuple[str | int, ...]:
        """Return name, tried, hit, lost, wrong, tracebacks."""
        kinds = (LOST, WRONG, CRASHED)
        return (self.name, self.n_tried, self.n_hit, *map(self.count, kinds))


HEADER = ("harness", "tried", "hit", "lost", "wrong", "tracebacks")


def table(tallies: list[Tally]) -> str:
    """Return the counts as a Markdown table, and below it what went wrong, each thing once."""
    rows = [HEADER, ("---",) * len(HEADER), *(tally.row() for tally in tallies)]
    lines = ["| " + " | ".join(map(str, row)) + " |" for row in rows]
    for tally in tallies:
        for (kind, what), count in Counter(tally.faults).most_common():
            lines.append(f"{tally.name}: {kind}: {count} × {what}")
    return "\n".join(lines)

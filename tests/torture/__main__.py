"""Torture the store: ``python -m tests.torture [--short] [--seed N] [HARNESS …]``."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

from tests.torture import damages, faults, kills, power, ragged
from tests.torture.ground import make_ground
from tests.torture.tally import table

# How often, in the short form and in the long one: a third of the kills come too late to hit. Of
# faults, one of how many calls fails.
HARNESSES = {
    "kills": (kills.run, 20, 330),
    "damages": (damages.run, 60, 600),
    "faults": (faults.run, 60, 1),
    "power": (power.run, 40, 400),
    "ragged": (ragged.run, 40, 400),
}


def _fast_folder() -> str | None:
    """Return a folder in memory where there is one: a real disk only makes every sync slow."""
    folder = "/dev/shm"
    is_there = os.access(folder, os.W_OK) and shutil.disk_usage(folder).free > 2**28
    return folder if is_there else None


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.torture", description=__doc__)
    parser.add_argument("harness", nargs="*", help=f"of {', '.join(HARNESSES)}; all if none")
    parser.add_argument("--short", action="store_true", help="as among the tests")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    given = parser.parse_args()
    print(f"seed {given.seed}", flush=True)
    tallies = []
    with tempfile.TemporaryDirectory(prefix="torture-", dir=_fast_folder()) as folder:
        ground = make_ground(Path(folder))
        for name in given.harness or HARNESSES:
            run, short, long = HARNESSES[name]
            start = time.perf_counter()
            tallies.append(run(ground, short if given.short else long, given.seed))
            print(f"{name}: {time.perf_counter() - start:.0f} s", file=sys.stderr, flush=True)
    print(table(tallies))
    return 1 if any(tally.faults for tally in tallies) else 0


if __name__ == "__main__":
    sys.exit(main())

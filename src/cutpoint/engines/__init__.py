"""What runs a cut. Each engine passes the parity gate before its first batch."""

from cutpoint.engines.kept import KeptModel
from cutpoint.engines.parity import Parity, compare
from cutpoint.engines.select import (
    ENGINES,
    Checked,
    checked_engine,
    engine_identity,
    known_engine,
    one_thread,
    preferred_engine,
)

__all__ = [
    "ENGINES",
    "Checked",
    "KeptModel",
    "Parity",
    "checked_engine",
    "compare",
    "engine_identity",
    "known_engine",
    "one_thread",
    "preferred_engine",
]

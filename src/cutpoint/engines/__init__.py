"""What runs a cut. Each engine passes the parity gate before its first batch."""

from cutpoint.engines.parity import Parity, compare
from cutpoint.engines.select import (
    ENGINES,
    Checked,
    checked_engine,
    engine_identity,
    preferred_engine,
)

__all__ = [
    "ENGINES",
    "Checked",
    "Parity",
    "checked_engine",
    "compare",
    "engine_identity",
    "preferred_engine",
]

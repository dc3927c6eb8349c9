"""What runs a cut. Each engine passes the parity gate before its first batch."""

from cutpoint.networks.engines.gate import Checked, checked_engine, known_engine
from cutpoint.networks.engines.kept import KeptModel
from cutpoint.networks.engines.parity import Parity, compare
from cutpoint.networks.engines.quantised import QuantisedCut, compiled_id, quantise, truncate
from cutpoint.networks.engines.ready import Ready, make_ready
from cutpoint.networks.engines.select import (
    ENGINES,
    check_engine,
    engine_identity,
    preferred_engine,
    refuse_precision,
)

__all__ = [
    "ENGINES",
    "Checked",
    "KeptModel",
    "Parity",
    "QuantisedCut",
    "Ready",
    "check_engine",
    "checked_engine",
    "compare",
    "compiled_id",
    "engine_identity",
    "known_engine",
    "make_ready",
    "preferred_engine",
    "quantise",
    "refuse_precision",
    "truncate",
]

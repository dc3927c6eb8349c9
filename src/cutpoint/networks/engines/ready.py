"""The one way to an engine that may be used: chosen, compared with the framework, kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from cutpoint.base.contracts import Cut, Engine
from cutpoint.base.stopwatch import lap
from cutpoint.base.types import Batch
from cutpoint.networks.engines.gate import Checked, checked_engine, known_engine
from cutpoint.networks.engines.kept import KeptModel
from cutpoint.networks.engines.quantised import compiled_id
from cutpoint.networks.engines.select import engine_identity, preferred_engine

T = TypeVar("T")


@dataclass(frozen=True)
class Ready(Generic[T]):
    """An engine that passed the parity gate, now or before.

    Attributes
    ----------
    engine : Engine
    identity : str
        What the gate holds for: the engine that was named, its version and the processor.
    checked : Checked or None
        What the gate found; None if it was passed before and that is remembered.
    remembered : object, optional
        What is remembered of that.
    """

    engine: Engine
    identity: str
    checked: Checked | None
    remembered: T | None = None

    @property
    def is_refused(self) -> bool:
        """Whether the framework itself runs, as the engine asked for disagrees with it."""
        return self.checked is not None and bool(self.checked.refused)


def make_ready(
    cut: Cut,
    engine: str,
    n_threads: int,
    precision: str,
    spec_id: str,
    calibration: Callable[[], Batch],
    say: Callable[[str], None],
    remember: Callable[[str], T | None] = lambda identity: None,
) -> Ready[T]:
    """Return an engine for `cut`; what is to be told of the choice is said.

    Parameters
    ----------
    engine : {"auto", "openvino", "onnxruntime", "torch", "native"}
    spec_id : str
        Fingerprint of what `cut` computes: a compiled model is kept under it.
    calibration : callable
        Returns a few prepared items; called only if the engine must be compared.
    remember : callable
        Returns what is remembered of an engine's identity, if it passed before. That holds for the
        model that was kept, and no other.

    Raises
    ------
    UsageError
        If no engine computes in `precision` here.
    """
    name, note = preferred_engine(engine, cut)
    if note and precision == "fp32":  # else it is refused, and that says why
        say(note)
    identity = engine_identity(name)
    kept = KeptModel.of(compiled_id(spec_id, cut), identity, say)
    remembered = remember(identity)
    if remembered is not None:
        found = known_engine(cut, name, n_threads, precision, kept)
        lap("load")
        if found is not None:
            return Ready(found, identity, None, remembered)
    say(f"Prepare engine {name} and compare it with the framework itself")
    checked = checked_engine(cut, name, n_threads, calibration(), precision, kept)
    if checked.refused:
        say(checked.refused)
    return Ready(checked.engine, identity, checked)

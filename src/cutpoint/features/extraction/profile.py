"""Where the time of an extraction went, and what would help."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cutpoint.base.stopwatch import Seconds
from cutpoint.base.tongue import option

STAGES = ("read", "decode", "preprocess", "engine", "write", "idle")
IDLE, OTHER = "idle", "other"


@dataclass(frozen=True)
class Profile:
    """Seconds of one run.

    Attributes
    ----------
    seconds : float
        The whole run, on the clock.
    engine : str
        Which engine ran; empty if none did.
    start_up : dict of stage → seconds
        Before the first unit: digest, cut, calibrate (items for the gate), load or convert (the
        compiled model, from the cache or made), gate, drift (of scaled decoding).
    threads : tuple of dict of stage → seconds
        For each worker, while units ran: read (and digest), decode, preprocess, engine, write,
        idle.
    """

    seconds: float
    engine: str
    start_up: Seconds
    threads: tuple[Seconds, ...] = ()

    @classmethod
    def of(
        cls,
        seconds: float,
        engine: str,
        start_up: Seconds,
        threads: Sequence[Seconds],
        units_s: float,
    ) -> Profile:
        """Return the profile; what a thread did not account for in `units_s` is idle."""
        whole = [{**laps, IDLE: max(0.0, units_s - sum(laps.values()))} for laps in threads]
        spent = sum(start_up.values()) + (units_s if threads else 0.0)
        rest = {OTHER: max(0.0, seconds - spent)}
        return cls(seconds, engine, {**start_up, **rest}, tuple(whole))

    @property
    def advice(self) -> str:
        """One line on what would help."""
        stage = self._largest()
        more = _advice_on_openvino(stage) if self.engine == "openvino" else ""
        return _advice(stage) + more

    def _largest(self) -> str:
        """Return the stage that takes most of the workers' time; all of the start-up is one."""
        n_threads = max(len(self.threads), 1)
        shares = {stage: sum(t.get(stage, 0.0) for t in self.threads) for stage in STAGES}
        shares["start-up"] = n_threads * sum(self.start_up.values())
        return max(shares, key=lambda stage: shares[stage]) if self.threads else ""

    def to_json(self) -> dict[str, Any]:
        """Return the profile in JSON types, seconds to the microsecond."""
        return {
            "seconds": round(self.seconds, 6),
            "engine": self.engine,
            "start_up": _rounded(self.start_up),
            "threads": [_rounded(laps) for laps in self.threads],
            "advice": self.advice,
        }

    def __str__(self) -> str:
        lines = [f"Profile of {self.seconds:.2f} s:"]
        lines += [_line("start-up", self.start_up)]
        lines += [_line(f"thread {n + 1}", laps) for n, laps in enumerate(self.threads)]
        return "\n".join([*lines, f"  What would help: {self.advice}"])


def _rounded(laps: Seconds) -> Seconds:
    return {stage: round(seconds, 6) for stage, seconds in laps.items()}


def _line(title: str, laps: Seconds) -> str:
    order = [*STAGES, *(stage for stage in laps if stage not in STAGES)]
    parts = (f"{stage} {laps[stage]:.2f}" for stage in order if stage in laps)
    return f"  {title:<9} {' · '.join(parts)} s"


def _advice(stage: str) -> str:
    return {
        "read": "files on a faster disk.",
        "decode": f"smaller files, or {option('decode', 'scaled')} for JPEGs of four times the "
        "network's size and more.",
        "preprocess": "files already near the size the network sees.",
        "engine": f"fewer or earlier taps ({option('taps')}), or a smaller network.",
        "write": f"a store on a faster disk ({option('store')}), or narrower pools.",
        "idle": "more items, or larger files in fewer units: workers waited for each other.",
        "start-up": "nothing, or more items at a time.",
    }.get(stage, "nothing to gain: all is stored already.")


def _advice_on_openvino(stage: str) -> str:
    return {
        "engine": f" Or {option('precision', 'bf16')} on a processor that has it.",
        "start-up": " What was compiled is kept for the next run.",
    }.get(stage, "")

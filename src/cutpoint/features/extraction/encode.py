"""Items → one vector each, as a network's makers read it out, without a store."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from cutpoint.base.contracts import Engine
from cutpoint.base.errors import DataError, UsageError
from cutpoint.base.progress import Reporter
from cutpoint.base.spec import FeatureSpec, Preprocess
from cutpoint.base.tongue import option
from cutpoint.base.types import Array, Float32
from cutpoint.features.extraction.executors import LocalExecutor
from cutpoint.features.extraction.unit import Described, calibration_batch, describe
from cutpoint.items.reading import Item, digest_payload
from cutpoint.networks.backbone import Backbone
from cutpoint.networks.engines import make_ready

_CHUNK = 256  # items a worker takes at a time, of about one length
_LEAST_LENGTH = 1e-12  # as torch.nn.functional.normalize


class UnusualItems(UserWarning):
    """What was unusual about items, such as that the end of a long text was left out."""


class Encoder:
    """A network cut where its makers read it out.

    Parameters
    ----------
    backbone : Backbone
        Its items have tokens.
    n_workers : int, optional
        Threads; as many as cores by default.

    Raises
    ------
    UsageError
        If what its makers do can't be done here.
    """

    def __init__(self, backbone: Backbone, n_workers: int | None = None) -> None:
        readout = backbone.readout
        if readout.why_not:
            raise UsageError(
                f'"{backbone.spec.id}" can\'t be encoded as its makers do: {readout.why_not}.',
                "Other numbers than theirs would go by the same name.",
                "Its layers, each with a pool.",
                f'Type, for example:  cp.extract(texts, {backbone.load_name!r}, pool="mean")',
            )
        self.backbone = backbone
        is_st = readout.is_normalised and readout.pool == "mean"
        layer = backbone.layers().last_tokens()
        self._width = int(layer.shape[layer.layout.index("C")] or 0)
        self._taps = backbone.tap_specs([layer.name], ["st" if is_st else readout.pool])
        self._is_normalised = readout.is_normalised and not is_st
        self._executor = LocalExecutor(n_workers)
        self._cut = backbone.cut_at(self._taps)
        self._engine: Engine | None = None

    def encode(
        self,
        payloads: Sequence[Any],
        preprocess: Preprocess,
        at_most: int | None = None,
        reporter: Reporter | None = None,
    ) -> Float32:
        """Return one row an item, in order; an item that is there twice is computed once.

        Parameters
        ----------
        payloads : sequence of what the kind takes in memory
        preprocess : Preprocess
            The backbone's own, or one that differs in how items are read.
        at_most : int, optional
            Items a forward pass, where more would be taken.

        Returns
        -------
        rows : float32 array of shape (n_items, n_features)

        Raises
        ------
        DataError
            If an item can't be used: all that can't are named.
        """
        reporter = reporter or Reporter(quiet=True)
        self.backbone.refuse_changed()
        items, rows_of = _distinct(payloads, preprocess.kind)
        out: Array = np.zeros((len(items), 0), np.float32)
        bad: dict[int, str] = {}
        notes: Counter[str] = Counter()
        if not items:
            return np.zeros((0, self._width), np.float32)
        parts = [items[start : start + _CHUNK] for start in range(0, len(items), _CHUNK)]
        work = self._worker(items, preprocess, at_most, reporter)
        with reporter.bar("Encode", len(items)) as advance:
            for part, found in self._executor.map(work, parts):
                places = [int(part[place].key) for place in found.places]
                bad |= {int(part[place].key): reason for place, reason in found.bad}
                notes.update(note for _, note in found.notes)
                if places:
                    (rows,) = found.arrays.values()
                    out = out if out.shape[1] else np.zeros((len(items), rows.shape[1]), rows.dtype)
                    out[places] = rows
                advance(len(part))
        _refuse_bad(bad, rows_of)
        if notes:
            told = "; ".join(f"{count} {note}" for note, count in notes.items())
            warnings.warn(f"Among {len(items)} different items: {told}", UnusualItems, stacklevel=3)
        found_rows: Float32 = out[rows_of]
        return normalised(found_rows) if self._is_normalised else found_rows

    def _worker(
        self,
        items: Sequence[Item],
        preprocess: Preprocess,
        at_most: int | None,
        reporter: Reporter,
    ) -> Callable[[], Callable[[Sequence[Item]], tuple[Sequence[Item], Described]]]:
        engine = self._ready(items, preprocess, reporter)

        def make() -> Callable[[Sequence[Item]], tuple[Sequence[Item], Described]]:
            run = engine.session()

            def work(part: Sequence[Item]) -> tuple[Sequence[Item], Described]:
                size = engine.batch_size
                return part, describe(part, preprocess, run, "fp32", size, at_most=at_most)

            return work

        return make

    def _ready(self, items: Sequence[Item], preprocess: Preprocess, reporter: Reporter) -> Engine:
        if self._engine is None:
            self._engine = make_ready(
                self._cut,
                "auto",
                self._executor.n_workers,
                "fp32",
                FeatureSpec(self.backbone.spec, self._taps).fingerprint(),
                lambda: calibration_batch(items, preprocess, self._cut)[0],
                reporter.say,
            ).engine
        return self._engine


def prompt_of(backbone: Backbone, name: str | None, prompt: str | None) -> dict[str, str]:
    """Return what is to stand before texts, as `Backbone.reading` takes it; nothing: its own.

    Raises
    ------
    UsageError
        If the network's makers know no prompt of that name, or both are said.
    """
    if prompt is not None and name is not None:
        raise UsageError(
            "prompt and prompt_name say what stands before texts twice.",
            "One prompt is put before each text.",
            "The prompt itself, or its name.",
            "Leave out prompt_name",  # what is encoded is encoded in Python alone
        )
    if prompt is not None:
        return {"prompt": prompt}
    if name is None:
        return {}
    known = backbone.readout.prompts
    if name not in known:
        raise UsageError(
            f'"{backbone.spec.id}" has no prompt "{name}".',
            "Its configuration names what its makers put before texts.",
            f"Prompts: {', '.join(known) or 'none'}.",
            f"Say it yourself, for example with:  {option('prompt', 'query: ')}",
        )
    return {"prompt": known[name]}


def _distinct(payloads: Sequence[Any], kind: str) -> tuple[list[Item], Array]:
    """Return each payload once, long ones last, and which of them each row is.

    Keys are the places among them.
    """
    place_of: dict[Any, int] = {}
    rows: list[int] = []
    first: list[Any] = []
    for payload in payloads:
        key = _name(payload, kind)
        if key not in place_of:
            place_of[key] = len(first)
            first.append(payload)
        rows.append(place_of[key])
    order = sorted(range(len(first)), key=lambda place: _length(first[place]))
    return [Item(str(place), first[place]) for place in order], np.array(rows, np.int64)


def _name(payload: Any, kind: str) -> Any:
    try:
        return digest_payload(payload, kind)
    except Exception:  # a bad item, named where it is prepared
        return id(payload)


def _length(payload: Any) -> int:
    """Return about how long an item is, so that items of a chunk are alike."""
    if isinstance(payload, tuple):
        return sum(map(_length, payload))
    return len(payload) if hasattr(payload, "__len__") else 0


def _refuse_bad(bad: dict[int, str], rows_of: Array) -> None:
    if not bad:
        return
    rows = [row for row, place in enumerate(rows_of.tolist()) if place in bad]
    shown = "; ".join(f"row {row}: {bad[int(rows_of[row])]}" for row in rows[:3])
    raise DataError(
        f"{len(rows)} of {len(rows_of)} items can't be encoded.",
        f"{shown}{'; …' if len(rows) > 3 else ''}.",
        "Items that can be used; cp.extract goes on without those that can't, and lists them.",
        f"Leave out the rows:  {rows[:10]}",
    )


def normalised(rows: Float32) -> Float32:
    """Return rows of length 1."""
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    found: Float32 = rows / np.maximum(lengths, _LEAST_LENGTH)
    return found

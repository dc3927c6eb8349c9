"""Tiny seeded networks, one file a kind; each file lists its `CASES`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from cutpoint.networks.backbone import Backbone

SIDE = 32
"""Images of the tiny networks are SIDE × SIDE."""


@dataclass(frozen=True)
class Made:
    """A backbone, and the framework's own word on it.

    Attributes
    ----------
    backbone : Backbone
    reference : callable
        (layer name, prepared uint8 batch (n, SIDE, SIDE, 3)) → activation in the framework's own
        layout, computed by the framework itself without any code of cutpoint.
    weights : callable
        → name → array of all weights and statistics of the user's network, as they are now.
    """

    backbone: Backbone
    reference: Callable[[str, np.ndarray], np.ndarray]
    weights: Callable[[], dict[str, np.ndarray]]


@dataclass(frozen=True)
class Case:
    """One kind of network.

    Attributes
    ----------
    name : str
    make : callable
        (empty folder) → Made; files of the network go into the folder.
    strides : tuple of int
        That its pyramid has.
    unstated : callable or None
        (folder) → loads it without stating the preprocessing; must raise UsageError. None where the
        source knows the preprocessing.
    """

    name: str
    make: Callable[[Path], Made]
    strides: tuple[int, ...] = (2, 4)
    unstated: Callable[[Path], object] | None = None

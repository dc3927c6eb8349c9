"""How each head is made for the sweep, and what it is given."""

from __future__ import annotations

from typing import Any

import numpy as np

from cutpoint.learning.heads import HEADS

# Few steps; everything else as it comes.
TYPED = {
    "mlp": "mlp(hidden=16, max_epochs=40, batch_size=16, learning_rate=0.02)",
    "learned_gem": "learned_gem(max_epochs=20, batch_size=16, learning_rate=0.01)",
    "attention_pool": "attention_pool(8, max_epochs=20, batch_size=16, learning_rate=0.01)",
    "efficient_probe": "efficient_probe(4, max_epochs=20, batch_size=16, learning_rate=0.01)",
}


def typed(kind: str) -> str:
    return TYPED.get(kind, kind)


def items(kind: str, n_items: int = 90, seed: int = 0) -> tuple[np.ndarray, Any]:
    """Three classes of vectors (n, 12), or of maps (n, 8, 4, 4), that can be told apart."""
    random = np.random.default_rng(seed)
    y = np.arange(n_items) % 3
    names = np.array(["ant", "bee", "cat"])[y]
    if HEADS[kind].takes == "maps":
        X = random.random((n_items, 8, 4, 4), np.float32)
        X[np.arange(n_items), y] += 1
        return X, names
    X = random.normal(size=(n_items, 12)).astype(np.float32)
    X[np.arange(n_items), y] += 3
    return X, names

"""Keras 3, on TensorFlow or on PyTorch."""

from __future__ import annotations

import importlib.util
import os
import sys
from typing import Any

from cutpoint.base.errors import MissingExtra, UsageError
from cutpoint.networks.runtimes.tensorflow import import_tensorflow

BACKENDS = ("tensorflow", "torch")


def import_keras() -> Any:
    """Return the package ``keras``.

    The user's backend (``KERAS_BACKEND``, ``~/.keras/keras.json``) stays. If none is named and
    TensorFlow is not installed, PyTorch is; that changes numbers in the last digits only.
    """
    has_tensorflow = importlib.util.find_spec("tensorflow") is not None
    if "keras" not in sys.modules and not has_tensorflow:
        os.environ.setdefault("KERAS_BACKEND", "torch")
    if has_tensorflow and os.environ.get("KERAS_BACKEND", "tensorflow") == "tensorflow":
        import_tensorflow()  # quietly, before Keras does
    try:
        import keras
    except ImportError as error:
        raise MissingExtra("Keras", "keras") from error
    if keras.backend.backend() not in BACKENDS:
        raise UsageError(
            f"Keras runs on {keras.backend.backend()}, where no network is cut.",
            "KERAS_BACKEND, or Keras' own configuration, says so.",
            f"Keras on one of: {', '.join(BACKENDS)}.",
            "Type, for example:  export KERAS_BACKEND=tensorflow",
        )
    return keras

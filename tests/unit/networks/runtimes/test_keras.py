"""Keras is imported without a word, whatever it imports itself."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytest.importorskip("tensorflow", reason="the extra tensorflow is not installed")


def test_a_fresh_process_imports_keras_and_tensorflow_quietly() -> None:
    code = (
        "from cutpoint.networks.runtimes.keras import import_keras; print(import_keras().__name__)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("keras\n", "")

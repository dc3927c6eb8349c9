"""Activations computed by the real TF.js in node."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

HERE = Path(__file__).parent
_IS_THERE = (HERE / "node_modules" / "@tensorflow" / "tfjs").is_dir()

needs_tfjs = pytest.mark.skipif(
    shutil.which("node") is None or not _IS_THERE,
    reason="node or tests/tfjs/node_modules is missing; `make test` installs the latter",
)


def tfjs_activations(
    model_json: Path, batch: np.ndarray, names: Sequence[str], folder: Path
) -> dict[str, np.ndarray]:
    """Return what TF.js computes at layers or nodes; `folder` is for the files in between."""
    (folder / "input.f32").write_bytes(batch.astype("<f4").tobytes())
    shape = ",".join(map(str, batch.shape))
    answer = run_node("features.mjs", model_json, folder / "input.f32", shape, folder, *names)
    shapes = json.loads(answer.splitlines()[-1])
    return {
        name: np.fromfile(folder / f"{place}.f32", "<f4").reshape(shapes[place])
        for place, name in enumerate(names)
    }


def nsfwjs_graph_model(folder: Path) -> Path:
    """Write the graph-model of the package nsfwjs (MIT) and return its ``model.json``.

    MobileNetV2 of width 1.4, weights quantised to uint8; it takes 224 × 224 RGB in [0, 1].
    """
    run_node("unpack_nsfwjs.mjs", folder)
    return folder / "model.json"


def run_node(script: str, *arguments: object) -> str:
    command = ["node", str(HERE / script), *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout

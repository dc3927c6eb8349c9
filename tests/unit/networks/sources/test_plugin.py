"""A stranger's source, installed the way a stranger installs it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import cutpoint as cp
from cutpoint.base.errors import BackboneNotFound
from tests.conftest import ROOT


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder the plug-in is installed into, without reaching a package index."""
    folder = tmp_path_factory.mktemp("installed")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps"]
    command = [*pip, "--no-build-isolation", "--target", folder, ROOT / "tests" / "plugin"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder


def cutpoint(installed: Path, *words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from cutpoint.cli import main; main()", *map(str, words)]
    path = os.pathsep.join([str(installed), *sys.path])
    return subprocess.run(
        command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": path}
    )


def test_its_layers_are_listed_and_its_features_learned_from(
    installed: Path, colour_folder: Callable[..., Path], tmp_path: Path
) -> None:
    listed = cutpoint(installed, "layers", "mean:4")
    assert "3×4×4" in listed.stdout, listed.stderr
    fitted = cutpoint(
        installed, "fit", colour_folder(), "-o", tmp_path / "m", "-b", "mean:4", "--tap", "1"
    )
    assert fitted.returncode == 0, fitted.stderr
    assert "accuracy" in fitted.stdout
    predicted = cutpoint(installed, "predict", tmp_path / "m", colour_folder(1, "new"))
    assert "red/000.png" in predicted.stdout, predicted.stderr


def test_its_errors_look_like_ours(installed: Path) -> None:
    done = cutpoint(installed, "layers", "mean:many")
    assert done.returncode == 2
    assert "is no number" in done.stderr
    assert "Sources: " in cutpoint(installed, "layers", "meen:4").stderr
    assert "mean" in cutpoint(installed, "layers", "meen:4").stderr


def test_without_it_the_name_is_unknown() -> None:
    with pytest.raises(BackboneNotFound, match='No source "mean"'):
        cp.load("mean:4")

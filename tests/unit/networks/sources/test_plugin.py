"""A stranger's source, installed the way a stranger installs it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import cutpoint as cp
from cutpoint.base.errors import BackboneNotFound
from tests.plugged import install, run_beside


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return install("plugin", tmp_path_factory.mktemp("installed"))


def test_its_layers_are_listed_and_its_features_learned_from(
    installed: Path, colour_folder: Callable[..., Path], tmp_path: Path
) -> None:
    listed = run_beside(installed, "layers", "mean:4")
    assert "3×4×4" in listed.stdout, listed.stderr
    fitted = run_beside(
        installed, "fit", colour_folder(), "-o", tmp_path / "m", "-b", "mean:4", "--tap", "1"
    )
    assert fitted.returncode == 0, fitted.stderr
    assert "accuracy" in fitted.stdout
    predicted = run_beside(installed, "predict", tmp_path / "m", colour_folder(1, "new"))
    assert "red/000.png" in predicted.stdout, predicted.stderr


def test_its_errors_look_like_ours(installed: Path) -> None:
    done = run_beside(installed, "layers", "mean:many")
    assert done.returncode == 2
    assert "is no number" in done.stderr
    assert "Sources: " in run_beside(installed, "layers", "meen:4").stderr
    assert "mean" in run_beside(installed, "layers", "meen:4").stderr


def test_without_it_the_name_is_unknown() -> None:
    with pytest.raises(BackboneNotFound, match='No source "mean"'):
        cp.load("mean:4")

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import cutpoint as cp
from cutpoint.testing import FakeBackbone

VERBS = [
    *("choose", "encode", "evaluate", "extract", "finetune", "fit", "load", "load_predictor"),
    "predict",
]
MODULES = ["errors", "gram", "heads", "metrics", "scores", "style", "testing", "transforms"]
NOUNS = [
    *("Backbone", "Evaluation", "FeatureStore", "Features", "LayerTable"),
    *("Prediction", "Predictor", "Ranking", "Recipe"),
]


def test_the_public_names_are_these() -> None:
    assert cp.__all__ == sorted([*VERBS, *NOUNS, *MODULES])


def test_nothing_else_is_shown_even_after_all_modules_are_imported() -> None:
    """A verb must not be hidden by a folder of its name."""
    code = f"""
import pkgutil, importlib, types, cutpoint
for module in pkgutil.walk_packages(cutpoint.__path__, "cutpoint."):
    importlib.import_module(module.name)
assert sorted(dir(cutpoint)) == sorted([*cutpoint.__all__, "__version__"])
assert all(isinstance(getattr(cutpoint, name), types.FunctionType) for name in {VERBS})
assert all(isinstance(getattr(cutpoint, name), type) for name in {NOUNS})
assert all(isinstance(getattr(cutpoint, name), types.ModuleType) for name in {MODULES})
"""
    subprocess.run([sys.executable, "-W", "ignore", "-c", code], check=True)


def test_importing_cutpoint_and_its_command_line_imports_no_framework() -> None:
    code = """
import sys, cutpoint, cutpoint.cli
heavy = {"torch", "tensorflow", "keras", "openvino", "numpy", "sklearn", "scipy", "rich"}
print(sorted(heavy & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_choosing_from_a_store_needs_no_framework(tmp_path: Path) -> None:
    """The store is one of the real backbone, whose network is torch's."""
    pixels = np.random.default_rng(0).integers(0, 256, (12, 32, 32, 3)).astype(np.uint8)
    labels, real = list("abc") * 4, "packaged:efficientnet_lite0"
    cp.extract(pixels, real, ["blocks.0"], "gap", tmp_path, labels=labels, quiet=True)
    code = """
import sys
import cutpoint as cp
cp.choose(sys.argv[1], quiet=True)
print(sorted({"torch", "openvino", "matplotlib"} & set(sys.modules)))
"""
    command = [sys.executable, "-c", code, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_an_unknown_attribute_is_an_attribute_error() -> None:
    assert not hasattr(cp, "nonsense")


def test_of_a_store_with_one_data_set_no_other_is_spoken_of(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (24, 16, 16, 3)).astype(np.uint8)
    labels = list("ab") * 12
    for seed, store in ((0, tmp_path / "one"), (0, tmp_path / "two"), (1, tmp_path / "two")):
        shown = np.roll(pixels, seed, axis=0)[: 24 - 2 * seed]
        cp.extract(
            shown, FakeBackbone(), ["conv3"], store=store, labels=labels[: len(shown)], quiet=True
        )
    cp.choose(tmp_path / "one")
    assert "Take another" not in capsys.readouterr().err
    cp.choose(tmp_path / "two")
    assert "Take another with:  data_set='NAME'" in capsys.readouterr().err

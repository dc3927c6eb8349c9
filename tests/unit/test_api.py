from __future__ import annotations

import subprocess
import sys

import cutpoint as cp

PUBLIC = ["choose", "evaluate", "extract", "fit", "load", "load_predictor", "predict"]


def test_the_public_names_are_these() -> None:
    assert cp.__all__ == PUBLIC


def test_every_public_name_is_a_function_even_after_all_modules_are_imported() -> None:
    code = """
import pkgutil, importlib, cutpoint
for module in pkgutil.walk_packages(cutpoint.__path__, "cutpoint."):
    importlib.import_module(module.name)
assert all(callable(getattr(cutpoint, name)) for name in cutpoint.__all__)
assert set(cutpoint.__all__) <= set(dir(cutpoint))
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


def test_fitting_from_the_store_needs_no_openvino_and_choosing_no_torch(tmp_path: object) -> None:
    code = """
import sys
import numpy as np
import cutpoint as cp
from cutpoint.testing import FakeBackbone
pixels = np.random.default_rng(0).integers(0, 256, (30, 16, 16, 3)).astype(np.uint8)
cp.extract(pixels, FakeBackbone(), store=sys.argv[1], labels=list("abc") * 10, quiet=True)
cp.choose(sys.argv[1], quiet=True)
print(sorted({"torch", "openvino", "matplotlib"} & set(sys.modules)))
"""
    command = [sys.executable, "-c", code, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_an_unknown_attribute_is_an_attribute_error() -> None:
    assert not hasattr(cp, "nonsense")

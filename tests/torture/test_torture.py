"""The short form of every harness; ``make torture`` runs the long one."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.conftest import ROOT
from tests.torture.__main__ import HARNESSES


@pytest.mark.parametrize("harness", HARNESSES)
def test_nothing_is_lost_or_wrong_and_no_traceback_is_shown(harness: str) -> None:
    command = [sys.executable, "-m", "tests.torture", "--short", "--seed", "0", harness]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=500)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr[-2000:]}"

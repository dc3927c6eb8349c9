"""A stranger's package is installed as a stranger installs it, and commands run beside it."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from unittest.mock import patch

import pytest

from cutpoint.cli import main
from tests.cli.test_commands import Done
from tests.conftest import ROOT


def install(package: str, folder: Path) -> Path:
    """Install a folder of `tests` into `folder`, without reaching a package index; return it."""
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--no-deps"]
    command = [*pip, "--no-build-isolation", "--target", folder, ROOT / "tests" / package]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder


def run_beside(where: Path | None, *words: object, **environment: str) -> Done:
    """Run a command in this process, where entry points are looked up anew each time."""
    out, err = io.StringIO(), io.StringIO()
    with (
        patch.dict(os.environ, {"COLUMNS": "100", **environment}),
        patch.object(sys, "argv", ["cutpoint", *map(str, words)]),
        patch.object(sys, "path", [*([str(where)] if where else []), *sys.path]),
        redirect_stdout(out),
        redirect_stderr(err),
        pytest.raises(SystemExit) as ended,
    ):
        main()
    return Done(ended.value.code or 0, out.getvalue(), err.getvalue())

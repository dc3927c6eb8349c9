"""The README's Python runs as it stands, on real images."""

from __future__ import annotations

import re
import runpy
from importlib.metadata import requires
from pathlib import Path

import pytest

from tests.conftest import ROOT

README = (ROOT / "README.md").read_text()


def test_the_first_screen_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert README.index("```python") < 400
    assert len([line for line in code.splitlines() if line.strip()]) <= 10
    runpy.run_path(str(ROOT / "examples" / "write_digits.py"))["write_digits"](tmp_path / "photos")
    for file in (tmp_path / "photos").rglob("*.png"):
        if int(file.stem) >= 100:
            file.unlink()
    next((tmp_path / "photos").rglob("*.png")).rename(tmp_path / "new.png")
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "README.md", "exec"), {})
    printed = capsys.readouterr().out
    assert "accuracy on split test" in printed
    assert "new.png" in printed
    assert "blocks.6" in printed
    assert "configurations tried" in printed
    assert (tmp_path / "photos.cutpoint" / "report.html").exists()


def test_every_command_of_the_readme_exists() -> None:
    from cutpoint.cli.app import app

    names = {command.name for command in app.registered_commands}
    names |= {group.name for group in app.registered_groups}
    assert set(re.findall(r"cutpoint (\w+) [A-Z<]", README)) <= names
    assert names <= set(re.findall(r"cutpoint (\w+)", README))


def test_docstring_examples_run() -> None:
    import doctest
    import importlib

    n_run = 0
    for name in ("gap", "gmp", "gem"):
        module = importlib.import_module(f"cutpoint.networks.pooling.{name}")
        failed, attempted = doctest.testmod(module)
        assert failed == 0
        n_run += attempted
    assert n_run >= 6


def test_no_package_index_host_is_named() -> None:
    pattern = re.compile("p" + r"ypi\.org|--(extra-)?index-url")
    for file in [*ROOT.glob("*.*"), *ROOT.glob("docs/**/*.md"), ROOT / "Makefile"]:
        if file.is_file():
            assert not pattern.search(file.read_text(errors="replace")), file


def test_the_distribution_is_named_as_it_is_installed() -> None:
    """``cutpoint`` on the package index is an unrelated program, so no hint may install that."""
    wrong = re.compile(
        r"(?<![\w-])cutpoint\[|pip install (?:-\S+ )*(?:--upgrade )?\"?cutpoint(?!-ml)"
    )
    folders = [ROOT / name for name in ("src", "docs", "tests", "benchmarks", "examples")]
    files = [
        f for folder in folders for f in folder.rglob("*") if f.suffix in (".py", ".md", ".j2")
    ]
    files += [ROOT / name for name in ("README.md", "Makefile", "pyproject.toml")]
    naming = [file for file in files if file != Path(__file__) and wrong.search(file.read_text())]
    assert not naming
    requirements = requires("cutpoint-ml") or []
    assert requirements
    assert not [line for line in requirements if re.match(r"cutpoint(?!-ml)", line)]

from __future__ import annotations

from pathlib import Path

import pytest

from cutpoint.base.tables import write_csv


@pytest.mark.parametrize("start", ["=cmd|' /C calc'!A0", "+1", "-1", "@x"])
def test_a_cell_that_would_run_as_a_formula_is_made_harmless(tmp_path: Path, start: str) -> None:
    write_csv(tmp_path / "t.csv", ("key", "n"), [(start, 3)])
    assert (tmp_path / "t.csv").read_text().splitlines()[1].lstrip('"').startswith("'" + start[0])


def test_a_name_that_is_no_unicode_comes_out_as_its_bytes(tmp_path: Path) -> None:
    write_csv(tmp_path / "t.csv", ("key",), [("caf\udce9.jpg",)])
    assert b"caf\xe9.jpg" in (tmp_path / "t.csv").read_bytes()

from __future__ import annotations

import html.parser
import re
from collections.abc import Callable
from pathlib import Path

import pytest

import cutpoint as cp
from cutpoint.base.errors import UsageError
from cutpoint.products.report import require_report
from cutpoint.testing import FakeBackbone
from tests.conftest import noisy_image, write_image

Maker = Callable[..., Path]


@pytest.fixture
def page(colour_folder: Maker, tmp_path: Path) -> str:
    """A report on colours with some labels wrong on purpose, so that there are mistakes."""
    folder = colour_folder(
        per_class=30, classes="red green <script>alert(1)<script>".replace("/", "")
    )
    for number in range(15):
        write_image(folder / "red" / f"blue{number}.png", noisy_image(2, 900 + number))
    (folder / "red" / "bad.png").write_bytes(b"")
    model = cp.fit(folder, tmp_path / "m", FakeBackbone(), max_bad=0.1, quiet=True)
    assert model.card.evaluation["scores"]["accuracy"]["value"] < 1
    return (tmp_path / "m" / "report.html").read_text()


def test_it_is_one_file_that_needs_nothing_else(page: str) -> None:
    assert not re.search(r'(src|href)="(?!data:|#)', page)
    assert "<script" not in page
    assert "http-equiv" not in page
    assert "@import" not in page


def test_it_shows_scores_candidates_plots_mistakes_quarantine_and_command(page: str) -> None:
    for text in ("accuracy on split", "LOO accuracy", "configurations tried", "Quarantined (1)"):
        assert text in page
    assert page.count("<svg") == 3
    n_mistakes = int(re.search(r"Mistakes \((\d+)\)", page)[1])
    assert n_mistakes > 0
    assert page.count("data:image/jpeg;base64,") == n_mistakes
    assert "empty file (0 bytes)" in page
    assert "cutpoint fit" in page


def test_its_tags_are_balanced_and_ids_unique(page: str) -> None:
    open_tags: list[str] = []
    ids: list[str] = []

    class Reader(html.parser.HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            ids.extend(value or "" for name, value in attrs if name == "id")
            if tag not in ("meta", "img", "br"):
                open_tags.append(tag)

        def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            ids.extend(value or "" for name, value in attrs if name == "id")

        def handle_endtag(self, tag: str) -> None:
            assert open_tags.pop() == tag

    Reader().feed(page)
    assert not open_tags
    assert len(ids) == len(set(ids))


def test_a_fused_row_names_all_its_pools(colour_folder: Maker, tmp_path: Path) -> None:
    cp.fit(
        colour_folder(), tmp_path / "m", FakeBackbone(), pool=["gap", "gmp"], recipe="l2 | concat",
        quiet=True,
    )  # fmt: skip
    (row,) = re.findall(
        r"<td>6 taps[^<]*</td><td>([^<]*)</td>", (tmp_path / "m/report.html").read_text()
    )
    assert row == "gap, gmp"


def test_only_an_earlier_report_or_an_empty_file_is_replaced(page: str, tmp_path: Path) -> None:
    target = tmp_path / "photo.jpg"
    for there in (b"\xff\xd8 a photo", b"<html><title>my notes</title>", b"<svg></svg>"):
        target.write_bytes(there)
        with pytest.raises(UsageError, match="Something else is there"):
            cp.evaluate(tmp_path / "m", tmp_path / "colours", report=target, quiet=True)
        assert target.read_bytes() == there
    for there in (page.encode(), b""):
        target.write_bytes(there)
        require_report(target, "The report")
    with pytest.raises(UsageError, match="Something else is there"):
        require_report(Path("/dev/null"), "The report")

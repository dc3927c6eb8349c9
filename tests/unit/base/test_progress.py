from __future__ import annotations

import io
import re

import pytest

from cutpoint.base import progress
from cutpoint.base.progress import Reporter


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_plain_lines_have_a_rate_and_an_eta(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "PLAIN_EVERY_S", 0.0)
    stream = io.StringIO()
    with Reporter(stream=stream).bar("Extract", 4, "items") as advance:
        advance(1)
        advance(3)
    first, last = stream.getvalue().splitlines()
    assert re.fullmatch(r"Extract: 1/4 items, \d+ items/s, \d+ s left", first)
    assert re.fullmatch(r"Extract: 4/4 items, \d+ items/s, \d+\.\d s", last)


def test_a_terminal_gets_a_bar() -> None:
    stream = Terminal()
    with Reporter(stream=stream).bar("Extract", 4) as advance:
        advance(4)
    assert "4/4" in stream.getvalue()
    assert "items/s" in stream.getvalue()


def test_quiet_says_nothing() -> None:
    stream = io.StringIO()
    reporter = Reporter(quiet=True, stream=stream)
    reporter.say("x")
    with reporter.bar("Extract", 4) as advance:
        advance(4)
    assert stream.getvalue() == ""


def test_what_is_said_is_one_line_whatever_is_in_it() -> None:
    stream = io.StringIO()
    Reporter(stream=stream).say("first: a\x1b[31m\nWarning: forged\u202e")
    assert stream.getvalue() == "first: a\\x1b[31m\\nWarning: forged\\u202e\n"


def test_a_clock_that_stands_still_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """A coarse clock gives two readings that are equal; so does a suspended machine."""
    monkeypatch.setattr(progress.time, "monotonic", lambda: 7.0)
    stream = io.StringIO()
    with Reporter(stream=stream).bar("Extract", 5, "items") as advance:
        advance(5)
    assert "Extract: 5/5 items" in stream.getvalue()

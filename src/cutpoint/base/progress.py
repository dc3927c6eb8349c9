"""Progress a person can follow: a bar on a terminal, plain lines elsewhere, nothing if quiet."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO

from cutpoint.base.text import printable

Advance = Callable[[int], None]
PLAIN_EVERY_S = 5.0


class Reporter:
    """Where a run speaks to a person: always stderr, so that stdout stays for results."""

    def __init__(self, quiet: bool = False, stream: TextIO | None = None) -> None:
        self.quiet = quiet
        self._stream = stream

    @property
    def stream(self) -> TextIO:
        return self._stream or sys.stderr

    def say(self, line: str) -> None:
        """Print one line; what is in it can't make another."""
        if not self.quiet:
            print(printable(line), file=self.stream, flush=True)

    @contextmanager
    def bar(self, title: str, total: int, unit: str = "items") -> Iterator[Advance]:
        """Show progress towards `total`; yields a callable that takes how many more are done."""
        if self.quiet or total == 0:
            yield lambda n: None
        elif self.stream.isatty():
            with _rich_bar(title, total, unit, self.stream) as advance:
                yield advance
        else:
            plain = _PlainLines(title, total, unit, self)
            yield plain.advance
            plain.finish()


class _PlainLines:
    """A line every few seconds, and one at the end."""

    def __init__(self, title: str, total: int, unit: str, reporter: Reporter) -> None:
        self._title, self._total, self._unit, self._reporter = title, total, unit, reporter
        self._start = self._last = time.monotonic()
        self._done = 0
        self._lock = threading.Lock()

    def advance(self, n: int) -> None:
        with self._lock:
            self._done += n
            now = time.monotonic()
            if now - self._last >= PLAIN_EVERY_S and self._done < self._total:
                self._last = now
                left_s = (self._total - self._done) * (now - self._start) / self._done
                self._reporter.say(f"{self._line(now)}, {left_s:.0f} s left")

    def finish(self) -> None:
        now = time.monotonic()
        self._reporter.say(f"{self._line(now)}, {now - self._start:.1f} s")

    def _line(self, now: float) -> str:
        rate = self._done / max(now - self._start, 1e-9)
        return f"{self._title}: {self._done}/{self._total} {self._unit}, {rate:.0f} {self._unit}/s"


@contextmanager
def _rich_bar(title: str, total: int, unit: str, stream: TextIO) -> Iterator[Advance]:
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn(f"{{task.fields[rate]:.0f}} {unit}/s"),
        TimeRemainingColumn(),
    )
    start = time.monotonic()
    with Progress(*columns, console=Console(file=stream), transient=False) as progress:
        task = progress.add_task(title, total=total, rate=0.0)

        def advance(n: int) -> None:
            done = progress.tasks[task].completed + n
            progress.update(task, advance=n, rate=done / max(time.monotonic() - start, 1e-9))

        yield advance

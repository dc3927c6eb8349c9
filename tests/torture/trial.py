"""One attempt in a process of its own: what it returned, said, and how it ended."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cutpoint.base.errors import CutpointError
from cutpoint.cli import main

LIMIT_S = 60
CRASHED = 70  # the exit code of a traceback
ENDS = (0, 1, 2)  # done, failed, wrong usage: the command line's promise


@dataclass(frozen=True)
class Outcome:
    """How an attempt ended.

    Attributes
    ----------
    code : int
        The exit code; minus the signal that ended the process.
    value : anything of JSON's types
        What was returned; None if nothing was.
    said : str
        Standard output and errors.
    """

    code: int
    value: Any
    said: str

    @property
    def crash(self) -> str:
        """Return what no user should see: a traceback, a signal, a process that hangs."""
        if self.code in ENDS and "Traceback (most recent call last)" not in self.said:
            return ""
        last = self.said.strip().splitlines()[-1:] or [""]
        return f"ended with {self.code}: {last[0][:200]}"


def attempt(
    folder: Path, work: Callable[[], Any], while_it_runs: Callable[[int], None] | None = None
) -> Outcome:
    """Return what `work` does in a fork, which costs milliseconds where a start costs seconds.

    `while_it_runs` is given the process id. What is returned and said goes through `folder`.
    """
    value, said = folder / "value.json", folder / "said.txt"
    value.unlink(missing_ok=True)
    said.write_text("")
    sys.stdout.flush()
    sys.stderr.flush()
    # An interrupt waits until the fork can tell of it: else it would unwind what its parent runs.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    pid = os.fork()
    if pid == 0:
        _run(work, value, said)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    if while_it_runs is not None:
        while_it_runs(pid)
    _, status = os.waitpid(pid, 0)
    found = json.loads(value.read_text()) if value.exists() else None
    return Outcome(os.waitstatus_to_exitcode(status), found, said.read_text(errors="replace"))


def _run(work: Callable[[], Any], value: Path, said: Path) -> None:
    """Do the work and end the process, whatever happens."""
    code = CRASHED
    try:
        signal.alarm(LIMIT_S)
        handle = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(handle, 1)
        os.dup2(handle, 2)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        found = work()
        _write(value, json.dumps(found))
        code = 0
    except CutpointError as error:
        print(f"Error: {error}", file=sys.stderr)
        code = 1
    except SystemExit as ended:
        code = int(ended.code or 0)
    except KeyboardInterrupt:
        code = 130
    except BaseException:  # whatever it is, it is what the attempt is to show
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def _write(path: Path, text: str) -> None:
    """Write `text` whole or not at all: the process may be killed meanwhile."""
    temporary = path.with_suffix(".tmp")
    temporary.write_text(text)
    temporary.replace(path)


def ended_well(work: Callable[[], Any]) -> None:
    """Do what ends with an exit code; go on if it is 0."""
    try:
        work()
    except SystemExit as ended:
        if ended.code:
            raise


def command(*words: str | os.PathLike[str]) -> None:
    """Run the command line as its own program would; ends with its exit code."""
    sys.argv = ["cutpoint", *map(os.fspath, words)]
    main()


def kill_after(seconds: float, number: int) -> Callable[[int], None]:
    """Return what sends a signal after some time."""

    def wait(pid: int) -> None:
        time.sleep(seconds)
        os.kill(pid, number)

    return wait

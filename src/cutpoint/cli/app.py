"""The commands and how their errors leave the program."""

from __future__ import annotations

import json
import os
import sys
import threading
import warnings

import typer

import cutpoint
from cutpoint.base.errors import CutpointError, UsageError
from cutpoint.base.text import printable
from cutpoint.base.tongue import in_shell
from cutpoint.cli import choose, evaluate, extract, finetune, fit, layers, predict, store
from cutpoint.cli.command import Command

INTERRUPTED = 130  # what typer exits with after Ctrl-C

app = typer.Typer(
    name="cutpoint",
    help="Cut a frozen network where its features serve you best; train only what is new.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(cutpoint.__version__)
        raise typer.Exit


@app.callback()
def root(
    version: bool = typer.Option(
        False, "--version", callback=_show_version, is_eager=True, help="Print the version."
    ),
) -> None:
    """Cut a frozen network where its features serve you best; train only what is new."""


app.command("layers", cls=Command)(layers.layers)
app.command("extract", cls=Command)(extract.extract)
app.command("choose", cls=Command)(choose.choose)
app.command("fit", cls=Command)(fit.fit)
app.command("finetune", cls=Command)(finetune.finetune)
app.command("evaluate", cls=Command)(evaluate.evaluate)
app.command("predict", cls=Command)(predict.predict)
app.add_typer(store.app, name="store")


def main() -> None:
    """Run the command line. Exit codes: 0 done, 1 failed, 2 wrong usage."""
    try:
        with in_shell(), warnings.catch_warnings():
            warnings.showwarning = _remark
            app()
    except CutpointError as error:
        _tell(error)
        sys.exit(2 if isinstance(error, UsageError) else 1)
    except (OSError, MemoryError) as error:  # the machine's, from where none is expected
        print(f"Error: the system answered: {printable(str(error))}", file=sys.stderr)
        sys.exit(1)
    except SystemExit as ended:
        if ended.code == INTERRUPTED:
            told = "Stopped. What was committed is kept; the same command goes on from there."
            print(told, file=sys.stderr)
            _leave_workers()
        raise


def _leave_workers() -> None:
    """Leave at once where threads still work, after a second Ctrl-C; else Python waits for them.

    To the store that is a kill, which it is made for.
    """
    others = set(threading.enumerate()) - {threading.main_thread()}
    if any(not thread.daemon for thread in others):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(INTERRUPTED)


def _remark(message: Warning | str, *where: object, **more: object) -> None:
    """Print a warning as the program's other words are, without the line of its source."""
    print(f"Warning: {printable(str(message))}", file=sys.stderr)


def _tell(error: CutpointError) -> None:
    if "--json" in sys.argv:
        parts = ("wrong", "got", "would_do", "type_next")
        fields = {"error": type(error).__name__} | {part: getattr(error, part) for part in parts}
        print(json.dumps(fields))
    print(f"Error: {error}", file=sys.stderr)  # each part is one line, whatever is in it

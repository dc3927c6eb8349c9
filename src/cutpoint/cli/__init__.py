"""The command line; one file a command: parse, call the API, print."""

from cutpoint.cli.app import main

__all__ = ["main"]

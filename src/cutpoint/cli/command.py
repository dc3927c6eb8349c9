"""What every command refuses of the words typed, whatever it does with them."""

from __future__ import annotations

from collections import Counter
from typing import Any

from typer.core import TyperCommand

from cutpoint.base.errors import UsageError

_MAY_BE_EMPTY = ("text", "prompt")  # a text is a bad item then, and nothing stands before one


class Command(TyperCommand):
    """A command whose options stand once, unless they may be repeated, and are never empty.

    Click takes the last of several, and an empty path is the current folder.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        given, _, order = self.make_parser(ctx).parse_args(args=list(args))
        if not ctx.resilient_parsing:
            _refuse_repeated(ctx.command_path, order)
            _refuse_empty(ctx.command_path, order, given)
        return super().parse_args(ctx, args)


def _refuse_repeated(command: str, order: list[Any]) -> None:
    counts = Counter(each for each in order if each.param_type_name == "option")
    for option, count in counts.items():
        if count > 1 and not option.multiple and not option.is_flag:
            raise UsageError(
                f"{option.opts[0]} is typed {count} times.",
                "One of them alone could be followed.",
                "One value.",
                f"List the options with:  {command} --help",
            )


def _refuse_empty(command: str, order: list[Any], given: dict[str, Any]) -> None:
    for parameter in dict.fromkeys(order):
        value = given.get(parameter.name)
        values = value if isinstance(value, list | tuple) else [value]
        if "" in values and parameter.name not in _MAY_BE_EMPTY:
            is_option = parameter.param_type_name == "option"
            raise UsageError(
                f"{parameter.opts[0] if is_option else parameter.metavar} is empty.",
                "A name, a path or a number is wanted there.",
                "A value, or the command without it.",
                f"Look at the command with:  {command} --help",
            )

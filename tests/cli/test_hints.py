"""Every option that a message tells to type is one of the commands it is printed from."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer

import cutpoint
from cutpoint.base.tongue import in_shell, options
from cutpoint.cli.app import app

SOURCE = Path(cutpoint.__file__).parent
OPTION = re.compile(r"(?<![\w-])--[a-z][a-z-]*")
COMMAND = re.compile(r"cutpoint (store \w+|[a-z]+) ")
IN_WORDS = ("option", "options", "arguments")
OTHER_PROGRAMS = re.compile(r"^\s*(pip|python|saved_model_cli)\b|  (pip|saved_model_cli) |tf2onnx")
EXTRACTING = ("extract", "choose", "fit")
# Which commands run the code of a folder or file, so that its messages may come from any of them.
# The first prefix that fits the file, or the file and its text, counts.
PRINTED_BY = {
    "products/evaluation/evaluation.py": ("evaluate",),
    "products/evaluation/verdicts.py": ("evaluate",),
    "api.py --data-set": ("choose",),
    "api.py": ("evaluate",),
    "products/fitting/": ("fit",),
    "products/finetuning/": ("finetune",),
    "learning/finetune/": ("finetune",),
    "items/kinds/registry.py --views": ("finetune",),
    "products/predictor/": ("evaluate", "predict"),
    "learning/heads/": ("fit",),
    "learning/transforms/": ("fit",),
    "learning/recipe/": ("choose", "fit"),
    "learning/choosing/precision.py": EXTRACTING,
    "learning/choosing/prior.py": ("choose",),
    "learning/choosing/ranking_task.py": ("choose",),
    "learning/shared/folds.py": ("choose",),
    "learning/choosing/rank_taps.py": ("choose",),
    "learning/choosing/strategies.py": ("choose",),
    "networks/backbone.py": ("choose", "fit"),  # where a backbone is an option
    "learning/choosing/": ("choose", "fit"),
    "networks/sources/": ("layers", *EXTRACTING),
    "items/kinds/plain.py": EXTRACTING,
    "items/kinds/": ("layers", *EXTRACTING),
    "items/reading/targets.py": ("choose", "fit"),
    "items/reading/hygiene.py": ("fit",),
    "features/store/verify.py": ("store verify",),
    "base/tongue.py": ("fit",),
    "": EXTRACTING,
}


def options_of_commands() -> dict[str, set[str]]:
    found = {}

    def walk(group: object, words: tuple[str, ...]) -> None:
        for name, command in getattr(group, "commands", {}).items():
            walk(command, (*words, name))
            names = [o for parameter in command.params for o in parameter.opts]
            found[" ".join((*words, name))] = {*names, "--help"}

    walk(typer.main.get_command(app), ())
    return found


OPTIONS = options_of_commands()


def texts(path: Path) -> Iterator[str]:
    """Yield the strings of a file, gaps of f-strings as "…", without its docstrings; and options
    that it names in the reader's words, as a shell has them."""
    tree = ast.parse(path.read_text())
    skipped: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr):  # docstrings
            skipped |= {id(each) for each in ast.walk(node) if isinstance(each, ast.Constant)}
        if isinstance(node, ast.JoinedStr):
            parts = [v.value if isinstance(v, ast.Constant) else "…" for v in node.values]
            skipped |= {id(each) for each in ast.walk(node)}
            yield "".join(map(str, parts))
        elif isinstance(node, ast.Constant) and id(node) not in skipped:
            yield str(node.value)
        elif isinstance(node, ast.Call) and getattr(node.func, "id", "") in IN_WORDS:
            given = node.args[:1] if node.func.id == "option" else node.args
            names = [each.value for each in given if isinstance(each, ast.Constant)]
            with in_shell():
                yield options(*names, *(each.arg or "" for each in node.keywords))


def hints() -> list[tuple[str, str]]:
    """Return the file and text of each message that names an option."""
    files = [path for path in sorted(SOURCE.rglob("*.py")) if path.parent.name != "cli"]
    named = [(str(path.relative_to(SOURCE)), text) for path in files for text in texts(path)]
    return [(f, t) for f, t in named if OPTION.search(t) and not OTHER_PROGRAMS.search(t)]


def missing(file: str, text: str) -> list[str]:
    """Return the options of a hint that a command it may come from does not have."""
    command = COMMAND.search(text)
    if command:
        commands: tuple[str, ...] = (command[1],)
    else:
        place = f"{file} {text}"
        commands = next(c for prefix, c in PRINTED_BY.items() if place.startswith(prefix))
    return [
        f"{command} {option}"
        for command in commands
        for option in OPTION.findall(text)
        if option not in OPTIONS[command]
    ]


def test_there_are_hints_and_commands_to_compare() -> None:
    assert len(hints()) > 50
    assert {"extract", "choose", "fit", "store verify"} <= OPTIONS.keys()
    assert missing("store/store.py", "Type:  --no-such-option")


@pytest.mark.parametrize(("file", "text"), hints())
def test_an_option_that_is_told_is_one_of_the_command_that_tells_it(file: str, text: str) -> None:
    assert missing(file, text) == []

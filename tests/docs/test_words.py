"""Errors say what is wrong first, and every page of the source speaks in whole sentences."""

from __future__ import annotations

import ast
import re
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from cutpoint.base import errors
from tests.conftest import ROOT

SOURCE = ROOT / "src" / "cutpoint"

# The first line of an error is the fault, never what somebody wanted.
WANTED = re.compile(r"\b(asked for|(was|were) to be|(was|were) given)\b")
# "Of …" opens no sentence; a fact is reported, not told; an option is left out.
CLASS = re.compile(r"^ *class (\w+)\(([^)]*)\):", re.MULTILINE)
UNSAID = re.compile(r"\b(is|are) told\b(?! apart)|\b[Ll]eave\b.{0,40}\baway\b")


@dataclass(frozen=True)
class Said:
    """What a page says: first lines of errors, lines of docstrings and comments, other texts."""

    first_lines: tuple[str, ...]
    prose: tuple[str, ...]
    texts: tuple[str, ...]


Pages = list[tuple[str, Said]]


@pytest.fixture(scope="module")
def pages() -> Pages:
    return [(str(path.relative_to(SOURCE)), read(path)) for path in sorted(SOURCE.rglob("*.py"))]


def test_the_first_line_of_an_error_is_the_fault(pages: Pages) -> None:
    assert [
        (page, line) for page, said in pages for line in said.first_lines if WANTED.search(line)
    ] == []


def test_no_sentence_opens_with_of(pages: Pages) -> None:
    assert [
        (page, line) for page, said in pages for line in said.prose if line.startswith("Of ")
    ] == []


def test_facts_are_reported_and_options_left_out(pages: Pages) -> None:
    found = [(page, line) for page, said in pages for line in (*said.prose, *said.texts)]
    assert [each for each in found if UNSAID.search(each[1])] == []


def test_what_these_tests_look_for_is_found(tmp_path: Path) -> None:
    path = tmp_path / "old.py"
    path.write_text(
        '"""Of an old module."""\n'
        "# Of a comment; what fails is told.\n"
        "def f(x):\n"
        '    raise UsageError(f"{x} were to be " "fitted.", "", "", "Leave --x away")\n',
        encoding="utf-8",
    )
    said = read(path)
    assert [bool(WANTED.search(line)) for line in said.first_lines] == [True]
    assert [line.startswith("Of ") for line in said.prose] == [True, True]
    assert sum(bool(UNSAID.search(line)) for line in (*said.prose, *said.texts)) == 2


def read(path: Path) -> Said:
    nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    return Said(tuple(_first_lines(nodes)), (*_docstrings(nodes), *_comments(path)), _texts(nodes))


def _first_lines(nodes: list[ast.AST]) -> Iterator[str]:
    """Yield the first argument of each error that is made, as far as it is written there."""
    for node in nodes:
        if isinstance(node, ast.Call) and node.args and _name(node.func) in ERRORS:
            yield " ".join(_constants(node.args[0]))


def _docstrings(nodes: list[ast.AST]) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            yield from (line.strip() for line in str(node.value.value).splitlines())


def _comments(path: Path) -> Iterator[str]:
    with tokenize.open(path) as file:
        for token in tokenize.generate_tokens(file.readline):
            if token.type == tokenize.COMMENT:
                yield token.string.lstrip("#: ")


def _texts(nodes: list[ast.AST]) -> tuple[str, ...]:
    """Return what is written in the code."""
    written = (node for node in nodes if isinstance(node, ast.Constant | ast.JoinedStr))
    return tuple("".join(_constants(node)) for node in written)


def _constants(node: ast.AST) -> list[str]:
    return [
        each.value
        for each in ast.walk(node)
        if isinstance(each, ast.Constant) and isinstance(each.value, str)
    ]


def _name(function: ast.expr) -> str:
    return getattr(function, "id", getattr(function, "attr", ""))


def _errors() -> set[str]:
    """Return the names of cutpoint's errors, and of those that modules make of them."""
    named = {name for name, found in vars(errors).items() if _is_error(found)}
    for path in sorted(SOURCE.rglob("*.py")):
        for name, bases in CLASS.findall(path.read_text(encoding="utf-8")):
            if named & set(re.findall(r"\w+", bases)):
                named.add(name)
    return named


def _is_error(found: object) -> bool:
    return isinstance(found, type) and issubclass(found, errors.CutpointError)


ERRORS = _errors()

"""Errors say what is wrong first, and every page of the source speaks in whole sentences."""

from __future__ import annotations

import ast
import re
import tokenize
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from cutpoint.base import errors
from tests.conftest import ROOT

SOURCE = ROOT / "src" / "cutpoint"

# The first line of an error is the fault, never what somebody wanted.
WANTED = re.compile(r"\b(asked for|(was|were) to be|(was|were) given)\b")
# "Of …" opens no sentence; a fact is reported, not told; an option is left out.
UNSAID = re.compile(r"\b(is|are) told\b(?! apart)|\b[Ll]eave\b.{0,40}\baway\b")
FILES = sorted(SOURCE.rglob("*.py"))
files = pytest.mark.parametrize(
    "path", FILES, ids=[path.relative_to(SOURCE).as_posix() for path in FILES]
)


@files
def test_the_first_line_of_an_error_is_the_fault(path: Path) -> None:
    assert [line for line in _first_lines(path) if WANTED.search(line)] == []


@files
def test_no_sentence_opens_with_of(path: Path) -> None:
    assert [line for line in _said(path) if line.startswith("Of ")] == []


@files
def test_facts_are_reported_and_options_left_out(path: Path) -> None:
    assert [line for line in (*_said(path), *_texts(path)) if UNSAID.search(line)] == []


def test_what_these_tests_look_for_is_found(tmp_path: Path) -> None:
    path = tmp_path / "old.py"
    path.write_text(
        '"""Of an old module."""\n'
        "# Of a comment; what fails is told.\n"
        "def f(x):\n"
        '    raise UsageError(f"{x} were to be " "fitted.", "", "", "Leave --x away")\n',
        encoding="utf-8",
    )
    assert [bool(WANTED.search(line)) for line in _first_lines(path)] == [True]
    assert [line.startswith("Of ") for line in _said(path)] == [True, True]
    assert sum(bool(UNSAID.search(line)) for line in (*_said(path), *_texts(path))) == 2


def _first_lines(path: Path) -> Iterator[str]:
    """Yield the first argument of each error that is made, as far as it is written there."""
    for node in _nodes(path):
        if isinstance(node, ast.Call) and node.args and _name(node.func) in ERRORS:
            yield " ".join(_constants(node.args[0]))


def _said(path: Path) -> Iterator[str]:
    """Yield each line of docstrings and comments, without the marks around it."""
    for node in _nodes(path):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            yield from (line.strip() for line in str(node.value.value).splitlines())
    with tokenize.open(path) as file:
        for token in tokenize.generate_tokens(file.readline):
            if token.type == tokenize.COMMENT:
                yield token.string.lstrip("#: ")


def _texts(path: Path) -> Iterator[str]:
    """Yield what is written in the code, but for docstrings."""
    for node in _nodes(path):
        if isinstance(node, ast.Constant | ast.JoinedStr):
            yield "".join(_constants(node))


@cache
def _nodes(path: Path) -> tuple[ast.AST, ...]:
    return tuple(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))


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
    for path in SOURCE.rglob("*.py"):
        for node in _nodes(path):
            if isinstance(node, ast.ClassDef) and named & set(map(_name, node.bases)):
                named.add(node.name)
    return named


def _is_error(found: object) -> bool:
    return isinstance(found, type) and issubclass(found, errors.CutpointError)


ERRORS = _errors()

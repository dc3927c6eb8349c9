"""Every change of one operator that can be made to a source, each with a name that lasts."""

from __future__ import annotations

import ast
import copy
import hashlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate, islice
from pathlib import Path

SWAPPED: dict[type[ast.AST], type[ast.AST]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Div,
    ast.Div: ast.Mult,
    ast.FloorDiv: ast.Mult,
    ast.Mod: ast.FloorDiv,
    ast.Pow: ast.Mult,
    ast.BitOr: ast.BitAnd,
    ast.BitAnd: ast.BitOr,
    ast.And: ast.Or,
    ast.Or: ast.And,
}
NAMES = {"min": "max", "max": "min", "minimum": "maximum", "maximum": "minimum"}
NAMES |= {"any": "all", "all": "any", "argmin": "argmax", "argmax": "argmin"}


@dataclass(frozen=True)
class Mutant:
    """One change.

    Attributes
    ----------
    module : str
        Path below the package.
    function : str
        ``"Class.method"``; ``"<module>"`` outside of any.
    before, after : str
        The expression or statement, spelled as `ast.unparse` does.
    number : int
        Which one, where a function has several alike.
    parts : (bytes, bytes, bytes)
        The source up to the change, the change, the rest.
    """

    module: str
    function: str
    before: str
    after: str
    number: int
    parts: tuple[bytes, bytes, bytes]

    @property
    def text(self) -> str:
        """Return the whole source with the change."""
        return b"".join(self.parts).decode()

    @property
    def name(self) -> str:
        """Name the change by what it does, not by its line: edits elsewhere leave it alone."""
        name = f"{self.module} | {self.function} | {self.before} → {self.after}"
        return f"{name} | {self.number}" if self.number else name

    def rank(self, seed: int) -> str:
        """Return what orders mutants at random, each by itself."""
        return hashlib.sha256(f"{seed}\0{self.name}".encode()).hexdigest()


def sample(package: Path, count: int, seed: int, under: str = "") -> list[Mutant]:
    """Return `count` mutants of the sources that lie below `under`."""
    found: list[Mutant] = []
    for path in sorted(package.rglob("*.py")):
        module = path.relative_to(package).as_posix()
        if module.startswith(under):
            found += mutants(module, path.read_text())
    ranked = sorted(found, key=lambda mutant: mutant.rank(seed))
    return list(islice((mutant for mutant in ranked if _parses(mutant.text)), count))


def mutants(module: str, text: str) -> list[Mutant]:
    """Return all mutants of one source."""
    lines = [line.encode() for line in text.splitlines(keepends=True)]
    starts = list(accumulate(map(len, lines), initial=0))
    seen: Counter[tuple[str, str, str]] = Counter()
    found = []
    for function, node, changed in _changes(ast.parse(text), "<module>"):
        before, after = _short(node), _short(changed)
        key = (function, before, after)
        parts = _parts(text.encode(), starts, node, ast.unparse(changed))
        found.append(Mutant(module, function, before, after, seen[key], parts))
        seen[key] += 1
    return found


def _changes(tree: ast.AST, function: str) -> Iterator[tuple[str, ast.AST, ast.AST]]:
    """Yield (function, node, what is put in its place)."""
    for child in _code(tree):
        inner = function
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            inner = child.name if function == "<module>" else f"{function}.{child.name}"
        for changed in _changed(child, function != "<module>"):
            yield function, child, changed
        yield from _changes(child, inner)


def _code(node: ast.AST) -> Iterator[ast.AST]:
    """Yield the children that run: no annotations, no imports, no docstrings, no f-strings."""
    if isinstance(node, ast.JoinedStr) or _is_typing(node):
        return
    for name, value in ast.iter_fields(node):
        if name in ("annotation", "returns", "type_params", "decorator_list"):
            continue
        for child in value if isinstance(value, list) else [value]:
            is_import = isinstance(child, ast.Import | ast.ImportFrom)
            if isinstance(child, ast.AST) and not is_import and not _is_docstring(child):
                yield child


def _is_typing(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"


def _is_docstring(node: ast.AST) -> bool:
    is_expression = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    return is_expression and isinstance(node.value.value, str)  # type: ignore[attr-defined]  # the kind of node was asked before


def _changed(node: ast.AST, is_inside: bool) -> Iterator[ast.AST]:
    """Yield the node with one operator changed, in each way."""
    if isinstance(node, ast.Compare):
        for place, operator in enumerate(node.ops):
            new = copy.deepcopy(node)
            new.ops[place] = SWAPPED[type(operator)]()  # type: ignore[call-overload]  # the kind of node was asked before
            yield new
    elif isinstance(node, ast.BinOp | ast.AugAssign | ast.BoolOp):
        if type(node.op) in SWAPPED:
            yield _with(node, op=SWAPPED[type(node.op)]())
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not | ast.USub):
        yield node.operand
    elif isinstance(node, ast.Constant):
        yield from _other_constants(node)
    elif isinstance(node, ast.Name) and node.id in NAMES and isinstance(node.ctx, ast.Load):
        yield _with(node, id=NAMES[node.id])
    elif isinstance(node, ast.Attribute) and node.attr in NAMES:
        yield _with(node, attr=NAMES[node.attr])
    elif isinstance(node, ast.Return) and node.value is not None and _short(node.value) != "None":
        yield ast.Return(ast.Constant(None))
    if is_inside and _can_be_dropped(node):
        yield ast.Pass()


def _can_be_dropped(node: ast.AST) -> bool:
    """Say whether code without a statement runs on; without a name's first value it does not."""
    if isinstance(node, ast.Assign):
        return not any(isinstance(target, ast.Name | ast.Tuple) for target in node.targets)
    return isinstance(node, ast.Expr | ast.AugAssign | ast.Raise)


def _other_constants(node: ast.Constant) -> Iterator[ast.AST]:
    if isinstance(node.value, bool):
        yield ast.Constant(not node.value)
    elif isinstance(node.value, int | float):
        yield ast.Constant(node.value + 1)
        yield ast.Constant(node.value - 1)


def _with(node: ast.AST, **fields: object) -> ast.AST:
    new = copy.deepcopy(node)
    for name, value in fields.items():
        setattr(new, name, value)
    return new


def _short(node: ast.AST) -> str:
    """Return the code on one line."""
    text = " ".join(ast.unparse(node).split())
    return (
        text if len(text) <= 100 else f"{text[:60]}…{hashlib.sha256(text.encode()).hexdigest()[:8]}"
    )


def _parts(text: bytes, starts: list[int], node: ast.AST, new: str) -> tuple[bytes, bytes, bytes]:
    """Return what is before `node`, what is put in its place, and the rest.

    An expression is put in brackets, as it may need them.
    """
    start = starts[node.lineno - 1] + node.col_offset  # type: ignore[attr-defined]  # the kind of node was asked before
    end = starts[node.end_lineno - 1] + node.end_col_offset  # type: ignore[attr-defined]  # the kind of node was asked before
    is_expression = isinstance(node, ast.expr) and not isinstance(node, ast.Constant | ast.Name)
    put = f"({new})" if is_expression else new
    return text[:start], put.encode(), text[end:]


def _parses(text: str) -> bool:
    try:
        ast.parse(text)
    except SyntaxError:
        return False
    return True

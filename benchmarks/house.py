"""The plan of the house: rooms, arrows between them, circles, sizes of bodies, tests per source.

    python benchmarks/house.py [SRC [TESTS]]

An arrow is a pair of rooms one of which imports from the other; a room is what lies directly in
the package. Imports within functions count, those for type checkers do not.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from statistics import median, quantiles

ROOT = Path(__file__).parents[1]
NAME = "cutpoint"


def imports(tree: ast.AST) -> Iterator[str]:
    """Yield the names of the modules that code imports, dotted."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        yield from imports(node)


def modules(package: Path) -> dict[str, Path]:
    found = {}
    for path in package.rglob("*.py"):
        parts = path.relative_to(package.parent).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def targets(name: str, path: Path, known: dict[str, Path]) -> set[str]:
    """Return the modules of the package that one imports."""
    found = set()
    for dotted in imports(ast.parse(path.read_text())):
        parts = dotted.split(".")
        while parts and ".".join(parts) not in known:
            parts.pop()
        if parts:
            found.add(".".join(parts))
    return found - {name}


def room(name: str) -> str:
    return name.split(".")[1] if "." in name else ""


def bodies(paths: Iterator[Path]) -> list[int]:
    """Return the lines of each function's body, without its docstring."""
    sizes = []
    for path in paths:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                body = node.body[1:] if ast.get_docstring(node) else node.body
                last = node.end_lineno or node.lineno
                sizes.append(last - body[0].lineno + 1 if body else 0)
    return sizes


def circles(graph: dict[str, set[str]]) -> list[list[str]]:
    """Return circles of modules, one after another is opened; a package's face is none."""
    plain = {
        name: {each for each in found if not any(o.startswith(f"{each}.") for o in graph)}
        for name, found in graph.items()
    }
    found = []
    while True:
        try:
            TopologicalSorter(plain).prepare()
            return found
        except CycleError as error:
            circle = error.args[1]
            found.append(circle)
            plain[circle[1]].discard(circle[0])


def n_lines(folder: Path) -> int:
    return sum(len(path.read_text().splitlines()) for path in folder.rglob("*.py"))


def main() -> None:
    src = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "src"
    tests = Path(sys.argv[2]) if len(sys.argv) > 2 else ROOT / "tests"
    known = modules(src / NAME)
    graph = {name: targets(name, path, known) for name, path in known.items()}
    rooms = {room(name) for name in graph} - {""}
    arrows = {(room(a), room(b)) for a, found in graph.items() for b in found}
    between = sorted((a, b) for a, b in arrows if a != b and a and b)
    print(f"rooms {len(rooms)}: {', '.join(sorted(rooms))}")
    print(f"arrows between rooms {len(between)}")
    if len(between) < 60:
        print("  " + "  ".join(f"{a}→{b}" for a, b in between))
    found = circles(graph)
    print(f"circles of modules {len(found)}")
    for circle in found:
        print("  " + " → ".join(circle))
    sizes = bodies(path for path in known.values())
    tenth = quantiles(sizes, n=10)[-1]
    print(f"bodies {len(sizes)}: median {median(sizes):g}, p90 {tenth:.0f}, max {max(sizes)}")
    print(f"files {len(known)}, lines {n_lines(src)}, tests {n_lines(tests)}", end="")
    print(f", tests/source {n_lines(tests) / n_lines(src):.2f}")


if __name__ == "__main__":
    main()

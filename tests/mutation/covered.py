"""Which tests run a line: a mutant is judged by those, not by whole files of tests."""

from __future__ import annotations

import ast
from pathlib import Path

from coverage import CoverageData

from tests.mutation.mutants import Mutant

OPTIONS = ("--cov=cutpoint", "--cov-context=test", "--cov-report=")


def tests_of(mutant: Mutant, data: CoverageData, source: Path, files: tuple[str, ...]) -> list[str]:
    """Return what pytest is given to judge a mutant: tests, or whole files of them.

    Parameters
    ----------
    data : CoverageData
        Of a run of `files` on the whole source, a context for each test.
    source : Path
        The file that the mutant changes, as it ran.
    files : tuple of str
        Files of tests; all of them where a line runs outside of any test, as on import, or in no
        test of this process.
    """
    lines = _statement(source.read_text(), mutant)
    by_line = data.contexts_by_lineno(str(source))
    contexts = {context for line in lines for context in by_line.get(line, ())}
    if not contexts or "" in contexts:
        return list(files)
    found: set[str] = set()
    for context in contexts:
        test, _, phase = context.rpartition("|")
        # What a fixture runs may serve every test of the file.
        found.add(test if phase == "run" else test.partition("::")[0])
    whole = {test for test in found if "::" not in test}
    return sorted(whole | {test for test in found if test.partition("::")[0] not in whole})


def _statement(text: str, mutant: Mutant) -> range:
    """Return the lines of the innermost statement that changes; of a compound one, its head."""
    first = mutant.parts[0].count(b"\n") + 1
    best = range(first, first + 1)
    for node in ast.walk(ast.parse(text)):
        if not isinstance(node, ast.stmt):
            continue
        body = getattr(node, "body", None)
        end = body[0].lineno - 1 if body else (node.end_lineno or node.lineno)
        lines = range(node.lineno, max(end, node.lineno) + 1)
        if first in lines:
            best = lines
    return best

"""A ranking drawn in text: score against cost, with the Pareto line."""

from __future__ import annotations

from cutpoint.learning.choosing.candidate import Candidate
from cutpoint.learning.choosing.ranking import Ranking
from cutpoint.networks.layer_table import human_count

WIDTH, HEIGHT = 64, 12
TAKEN, PARETO, POINT, LINE = "◆", "●", "·", "─"


def draw(ranking: Ranking) -> list[str]:
    """Return the lines of a picture that fits 100 columns."""
    costs = [_cost(each) for each in ranking.candidates]
    scores = [each.score.value for each in ranking.candidates]
    low, high = min(scores), max(scores)
    if max(costs) == min(costs) or low == high:
        return []
    cells = [[" "] * WIDTH for _ in range(HEIGHT)]

    def place(each: Candidate) -> tuple[int, int]:
        right = (_cost(each) - min(costs)) / (max(costs) - min(costs))
        up = (each.score.value - low) / (high - low)
        return round((1 - up) * (HEIGHT - 1)), round(right * (WIDTH - 1))

    _draw_line(cells, [place(each) for each in ranking.pareto])
    marks = [(each, POINT) for each in ranking.candidates]
    marks += [(each, PARETO) for each in ranking.pareto] + [(ranking.taken, TAKEN)]
    for each, mark in marks:
        row, column = place(each)
        cells[row][column] = mark
    labels = [f"{high:.3f}", *[""] * (HEIGHT - 2), f"{low:.3f}"]
    rows = [f"{label:>6} ┤{''.join(row)}" for label, row in zip(labels, cells, strict=True)]
    axis = f"{'':6} └{'─' * WIDTH}"
    named = ranking.best.macs is not None
    ends = [human_count(c) if named else f"layer {c}" for c in (min(costs), max(costs))]
    unit = "MACs to the deepest layer" if named else "depth"
    gap = WIDTH - len(ends[0]) - len(ends[1])
    legend = f"{'':7} {TAKEN} taken  {PARETO} best for its cost  {POINT} others"
    return [*rows, axis, f"{'':7} {ends[0]}{unit:^{gap}}{ends[1]}", legend]


def _cost(each: Candidate) -> int:
    return each.depth if each.macs is None else each.macs


def _draw_line(cells: list[list[str]], places: list[tuple[int, int]]) -> None:
    """Draw what is best up to each cost: a step stays until a dearer one is better."""
    ends = [column for _, column in places[1:]] + [WIDTH]
    for (row, column), end in zip(places, ends, strict=True):
        cells[row][column:end] = [LINE] * (end - column)

"""Fill the report's template."""

from __future__ import annotations

import importlib.util
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

from cutpoint.base.arguments import check_writable
from cutpoint.base.errors import BadItem, MissingExtra, UsageError
from cutpoint.base.files import free_name, told, write_durably
from cutpoint.base.spec import TapSpec
from cutpoint.base.text import printable
from cutpoint.items.kinds import kind_named
from cutpoint.items.reading import Dataset, Item, read_payload
from cutpoint.learning.choosing import Ranking
from cutpoint.learning.metrics import LabelScores
from cutpoint.networks.layer_table import human_count
from cutpoint.products.evaluation import Evaluation, Verdict
from cutpoint.products.predictor import Predictor

N_MISTAKES = 48  # shown, the most confident mistakes first
N_QUARANTINED = 200  # rows shown
# What reports and pictures of all releases have within their first bytes.
_OWN = (b"<title>cutpoint report: ", b'id="candidates-figure_1"')
_START_BYTES = 4096
_SHOWN_FIRST = {
    "classes": "most confident",
    "labels": "with most labels wrong",
    "values": "farthest off",
}


@dataclass(frozen=True)
class ReportInputs:
    """All a report is made of."""

    predictor: Predictor
    evaluation: Evaluation
    dataset: Dataset
    command: str
    warnings: Sequence[str] = ()
    quarantined: Sequence[tuple[str, str]] = ()
    facts: Mapping[str, str] = field(default_factory=dict)


def require_report(path: Path, what: str, needs: Sequence[str] = ("jinja2", "matplotlib")) -> None:
    """Raise an error unless a report or picture can be made here and written to `path`.

    A file that is there is replaced only if it is an earlier one, or empty.
    """
    if any(importlib.util.find_spec(name) is None for name in needs):
        raise MissingExtra(what, "report")
    check_writable(path, what, is_folder=False)
    if path.exists() and not _is_earlier(path):
        free = free_name(path.absolute().parent, f"{path.stem}-new{path.suffix}").name
        raise UsageError(
            f'{what} can\'t be written to "{path}".',
            "Something else is there, and would be lost.",
            "A new name, or that of an earlier report or picture, which is then replaced.",
            f"Name it, for example:  {shlex.quote(str(path.with_name(free)))}",
        )


def _is_earlier(path: Path) -> bool:
    """Say whether a file is a report or a picture that was written here, or empty."""
    if not path.is_file():
        return False
    with told(path, "read"), path.open("rb") as file:
        start = file.read(_START_BYTES)
    return not start or any(mark in start for mark in _OWN)


def write_choice_plot(ranking: Ranking, path: Path) -> None:
    """Write score against depth and cost as an SVG file.

    Raises
    ------
    MissingExtra
        If matplotlib is not installed.
    """
    try:
        from cutpoint.products.report import plots
    except ImportError as error:
        raise MissingExtra("A picture of the candidates", "report") from error
    order = {each.depth: each.deepest.layer for each in ranking.candidates}
    layers = [order.get(depth, "") for depth in range(max(order) + 1)]
    fields, label = ranking.to_json()["candidates"], f"{ranking.how} {ranking.metric}"
    write_durably(path, plots.candidates_plot(fields, layers, ranking.taken.tap, label).encode())


def write_report(inputs: ReportInputs, path: Path) -> None:
    """Write the report as one HTML file that needs nothing else: no script, no network.

    Raises
    ------
    MissingExtra
        If matplotlib or jinja2 are not installed.
    """
    try:
        import jinja2

        from cutpoint.products.report import plots
    except ImportError as error:
        raise MissingExtra("The HTML report", "report") from error
    environment = jinja2.Environment(
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_shown,
    )
    template = environment.from_string(
        (files("cutpoint.products.report") / "page.html.j2").read_text()
    )
    card = inputs.predictor.card
    ranking = card.ranking
    assert ranking is not None, "a predictor without one is refused before"
    evaluation, hindsight = inputs.evaluation, card.hindsight
    metric, figure, interval_by = evaluation.scores.headline
    text = template.render(
        inputs=inputs,
        metric=metric,
        figure=figure,
        interval_by=interval_by,
        ranking_metric=ranking["metric"],
        hindsight_metric=(hindsight or {}).get("metric", "accuracy"),
        evaluation=evaluation,
        candidates=_candidate_rows(ranking, card.layers),
        verdict=ranking["verdict"],
        how=ranking["how"],
        candidates_plot=plots.candidates_plot(
            ranking["candidates"],
            list(card.layers),
            ranking["taken"],
            f"{ranking['how']} {ranking['metric']}",
        ),
        hindsight=hindsight,
        error_plots=plots.error_plots(evaluation),
        label_table=evaluation.scores.table()
        if isinstance(evaluation.scores, LabelScores)
        else None,
        mistakes_shown=_SHOWN_FIRST[evaluation.target],
        mistakes=_mistakes(inputs),
        n_mistakes=sum(verdict.miss > 0 for verdict in evaluation.verdicts),
        shown_quarantined=list(inputs.quarantined)[:N_QUARANTINED],
    )
    write_durably(path, text.encode("utf-8", "backslashreplace"))


def _shown(value: Any) -> Any:
    """Return what is filled in, printable; drawings are markup, their labels printable already."""
    is_text = isinstance(value, str) and not hasattr(value, "__html__")
    return printable(value) if is_text else value


def _candidate_rows(
    ranking: Mapping[str, Any], macs_of: Mapping[str, int | None]
) -> list[dict[str, Any]]:
    rows = []
    for candidate in ranking["candidates"]:
        taps = [TapSpec.from_name(tap) for tap in candidate["taps"]]
        tap, is_one = taps[-1], len(taps) == 1
        found, evidence = candidate["score"], candidate["evidence"]
        rows.append(
            {
                "layer": tap.layer if is_one else candidate["tap"],
                "pool": ", ".join(dict.fromkeys(each.pool for each in taps)),
                "width": candidate["width"],
                "macs": "–" if (macs := macs_of[tap.layer]) is None else human_count(macs),
                "accuracy": f"{found['value']:.4f}",
                "interval": f"{found['low']:.3f} – {found['high']:.3f}"
                + (f", {candidate['n_folds']}-fold" if candidate["n_folds"] else ""),
                "evidence": "–" if evidence is None else f"{evidence:.3f}",
                "error": f"{candidate['error']:.4f}",
                "taken": candidate["tap"] == ranking["taken"],
            }
        )
    return rows


def _mistakes(inputs: ReportInputs) -> list[dict[str, Any]]:
    items = {item.key: item for item in inputs.dataset.items}
    wrong = [verdict for verdict in inputs.evaluation.verdicts if verdict.miss > 0]
    wrong.sort(key=lambda verdict: -verdict.miss)
    return [_mistake(verdict, items[verdict.key], inputs) for verdict in wrong[:N_MISTAKES]]


def _mistake(verdict: Verdict, item: Item, inputs: ReportInputs) -> dict[str, Any]:
    probability = verdict.probability
    return {
        "verdict": verdict,
        "truth": _said(verdict.truth),
        "predicted": _said(verdict.predicted),
        "figure": f"off by {verdict.miss:.4g}" if probability is None else f"{probability:.2f}",
        "picture": _picture(item, inputs.predictor),
    }


def _said(found: Any) -> Any:
    """Return a class as it is, labels in a row, a value with four digits."""
    if isinstance(found, tuple):
        return ", ".join(map(str, found)) or "–"
    return f"{found:.4g}" if isinstance(found, float) else found


def _picture(item: Item, predictor: Predictor) -> str:
    """Return the item as a data URI; empty if it can no longer be read, or can't be seen."""
    spec = predictor.backbone.spec.preprocess
    try:
        return kind_named(spec.kind).picture(read_payload(item), spec)
    except BadItem:
        return ""

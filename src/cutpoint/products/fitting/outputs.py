"""What a fit writes: the predictor with its card, the splits, the report."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cutpoint.base.arguments import check_writable
from cutpoint.base.tables import write_csv
from cutpoint.features.extraction import Extraction
from cutpoint.features.extraction.bad_rows import write_bad_rows
from cutpoint.features.extraction.plan import human_seconds
from cutpoint.features.store import Features
from cutpoint.items.reading import Dataset
from cutpoint.learning.choosing import HeadChoice, Hindsight, Ranking, advise
from cutpoint.learning.heads import Classifier, Head, Labeller, spell_head
from cutpoint.products.evaluation import Evaluation
from cutpoint.products.fitting.options import FitOptions
from cutpoint.products.predictor import Card, Predictor, refuse_foreign
from cutpoint.products.report import ReportInputs, require_report, write_report

SPLITS, REPORT = "splits.csv", "report.html"


@dataclass(frozen=True)
class FitResult:
    """A predictor with all that led to it."""

    predictor: Predictor
    dataset: Dataset
    extraction: Extraction
    ranking: Ranking
    evaluation: Evaluation
    hindsight: Hindsight | None
    heads: HeadChoice | None = None
    floor: str = ""
    why_head: str = ""

    @property
    def features(self) -> Features:
        return self.extraction.features


def check_output(folder: Path) -> None:
    """Raise an error unless predictor and report can be made here and written to `folder`."""
    refuse_foreign(folder)
    check_writable(folder, "The predictor")
    require_report(folder / REPORT, "The HTML report")


def make_card(result: FitResult, options: FitOptions) -> Card:
    """Return how the predictor was made, and how it scored."""
    extraction, spec = result.extraction, result.features.spec
    table = result.predictor.backbone.layers()
    return Card(
        data=result.dataset.name,
        counts=result.dataset.counts(),
        backbone=spec.backbone.id,
        feature_spec=spec.fingerprint(),
        precision=spec.precision,
        precision_check=result.features.precision_check,
        layers={tap.layer: table[tap.layer].macs for tap in spec.taps},
        ranking=result.ranking.to_json(),
        variance_kept=result.predictor.recipe.variance_kept(),
        head=_head_fields(result, options),
        evaluation=result.evaluation.to_json(),
        hindsight=None if result.hindsight is None else result.hindsight.to_json(),
        floor=result.floor,
        extraction={
            "engine": extraction.engine,
            "n_forward": extraction.n_forward,
            "n_calibration": extraction.n_calibration,
            "n_stored": extraction.plan.n_stored,
            "seconds": round(extraction.seconds, 3),
        },
        n_quarantined=len(result.features.quarantined),
        warnings=list(result.features.warnings),
        store=str(options.request.store),
    )


def _head_fields(result: FitResult, options: FitOptions) -> dict[str, Any]:
    """Return how the head was typed or taken, what it chose, and what makes it sure."""
    predictor, compared = result.predictor, result.heads
    head = predictor.head
    text = compared.taken if compared else options.head_text
    fields: dict[str, Any] = {"text": text, "chosen": head.chosen}
    if result.why_head:
        fields["why"] = result.why_head
    if isinstance(head, Classifier):
        fields["temperature"] = head.temperature_
    elif isinstance(head, Labeller):
        found = zip(predictor.labels, head.thresholds_.tolist(), strict=True)
        fields["thresholds"] = dict(found)
    else:
        fields["margin"] = predictor.margin
    return {**fields, "compared": compared.to_json()} if compared else fields


def write_outputs(result: FitResult, options: FitOptions, output: Path) -> None:
    """Write predictor, splits, bad rows and report into `output`."""
    features, predictor = result.features, result.predictor
    predictor.save(output)
    splits = zip(features.keys, features.splits, features.labels, strict=True)
    write_csv(output / SPLITS, ("key", "split", "label"), splits)
    write_bad_rows(output, features.quarantined)
    facts = {
        "choice": result.ranking.headline(),
        "data": ", ".join(f"{count} {split}" for split, count in result.dataset.counts().items()),
        "backbone": f"{predictor.backbone.spec.id}, cut at {predictor.recipe}",
        "head": _head_line(predictor, result.why_head),
        **({"heads compared": str(result.heads)} if result.heads else {}),
        **({"floor": result.floor} if result.floor else {}),
        "advice": advise(result.ranking, len(predictor.classes)),
        "extraction": _extraction_line(result.extraction),
        **_precision_line(features),
        **({"variance": "; ".join(kept)} if (kept := predictor.recipe.variance_lines()) else {}),
        "machine": f"{platform.machine()}, Python {platform.python_version()}",
    }
    command = options.command(result.dataset.name, predictor.backbone, output)
    inputs = ReportInputs(
        predictor,
        result.evaluation,
        result.dataset,
        command,
        features.warnings,
        features.quarantined,
        facts,
    )
    write_report(inputs, output / REPORT)


def _head_line(predictor: Predictor, why: str) -> str:
    head = predictor.head
    chosen = ", ".join(f"{name} {value:.3g}" for name, value in head.chosen.items())
    left_out = f"; chosen on rows left out: {chosen}" if chosen else ""
    taken = f", taken for {why}" if why else ""
    return f"{spell_head(head)}{taken}{left_out}{_sureness(head, predictor.margin)}"


def _sureness(head: Head, margin: float | None) -> str:
    """Return what makes a head's outputs probabilities, or an interval."""
    if isinstance(head, Classifier):
        return f"; temperature {head.temperature_:.3g}"
    if isinstance(head, Labeller):
        return "; thresholds by F1 on rows left out"
    if margin is None:
        return ""
    return f"; 90 % of training rows left out lie within ±{margin:.4g} of what was predicted"


def _extraction_line(extraction: Extraction) -> str:
    done = f"{extraction.n_forward} items computed, {extraction.plan.n_stored} stored already"
    engine = f" by {extraction.engine}" if extraction.engine else ""
    precision = extraction.features.spec.precision
    computed = f" in {precision}" if precision != "fp32" else ""
    return f"{done}{engine}{computed}, {human_seconds(extraction.seconds)}"


def _precision_line(features: Features) -> dict[str, str]:
    """Return what a precision below fp32 cost; nothing of fp32."""
    check = features.precision_check
    return {"precision": check["text"]} if check else {}

"""The whole way from items to a predictor that has been scored once."""

from __future__ import annotations

import os
import platform
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import clone

from cutpoint.base.arguments import check_choice, check_seed, check_writable
from cutpoint.base.errors import DataError, ShapeError, TooManyBadItems, UsageError
from cutpoint.base.files import told
from cutpoint.base.progress import Reporter
from cutpoint.base.spec import PRECISIONS, FeatureSpec, TapSpec
from cutpoint.base.tables import write_csv
from cutpoint.base.types import Array
from cutpoint.features.extraction import Extraction, ExtractOptions
from cutpoint.features.extraction.plan import human_seconds
from cutpoint.features.extraction.quantising import network_of
from cutpoint.features.store import Features, FeatureStore
from cutpoint.items.reading import (
    Dataset,
    assign_splits,
    check_for_fit,
    has_splits,
    refuse_unlearnable,
)
from cutpoint.learning.choosing import (
    ChooseOptions,
    Hindsight,
    Ranking,
    advise,
    check_options,
    extract_checked,
    look_back,
    rank,
    rank_maps,
)
from cutpoint.learning.choosing.task import Task
from cutpoint.learning.heads import HEADS, Head, RidgeHead, find_protocol, fit_protocol, spell_head
from cutpoint.learning.heads.protocol_run import check_for_predictor
from cutpoint.learning.recipe import Recipe, check_widths, fit_recipe, parse_recipe
from cutpoint.networks.backbone import STORAGES, Backbone
from cutpoint.networks.engines import refuse_precision
from cutpoint.networks.layer_table import AUTO, Layer, LayerTable
from cutpoint.networks.pooling import canonical_pool, free_rows, map_layouts, pooled_width
from cutpoint.products.evaluation import Evaluation, make_evaluation
from cutpoint.products.predictor import BAD_ROWS, Predictor, refuse_foreign, short_digest
from cutpoint.products.report import ReportInputs, require_report, write_report

DEFAULT_POOLS = ("auto",)
DEFAULT_STRATEGIES = ("single", "fused")
SPLITS, REPORT = "splits.csv", "report.html"


def default_store() -> Path:
    """Return where features are kept if no store is named.

    ``$CUTPOINT_STORE``, else ``cutpoint/features`` in the user's cache folder. Features are found
    by content, so one store serves every data set.
    """
    named = os.environ.get("CUTPOINT_STORE")
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return Path(named) if named else cache / "cutpoint" / "features"


@dataclass(frozen=True)
class FitOptions:
    """What to try and where to keep it; fields as in `cutpoint.fit`."""

    taps: Sequence[str | int] | str = AUTO
    pools: tuple[str, ...] = DEFAULT_POOLS
    store: Path = field(default_factory=default_store)
    extract: ExtractOptions = field(default_factory=ExtractOptions)
    seed: int = 0
    allow_group_overlap: bool = False
    follow_links: bool = False
    recipe: Recipe = field(default_factory=Recipe)
    head: Head = field(default_factory=RidgeHead)
    storage: str = AUTO
    strategies: tuple[str, ...] = DEFAULT_STRATEGIES
    protocol: str = ""
    precision: str = "fp32"

    def __post_init__(self) -> None:
        """Raise `UsageError` for what no run can serve, before there is one."""
        check_request(self.pools, self.storage, self.precision, self.extract.engine, self.seed)
        check_store(self.store)
        refuse_named_twice(self.recipe, self.taps, self.pools)
        check_options(ChooseOptions(recipe=self.recipe, strategies=self.strategies))
        self._check_head()
        if not self.protocol:
            return
        if spell_head(self.head) != RidgeHead.kind:
            raise UsageError(
                f'Protocol "{self.protocol}" and head "{spell_head(self.head)}" were asked for.',
                "A protocol says itself which head is fitted, and how.",
                "One of the two.",
                f"Type, for example:  --protocol {self.protocol}",
            )
        check_for_predictor(find_protocol(self.protocol), self.recipe.aggregate)

    def _check_head(self) -> None:
        if not isinstance(self.head, Head):
            raise UsageError(
                f"The head is a {type(self.head).__name__}, and heads are cutpoint's own.",
                "Others can't be calibrated on rows left out, nor saved without pickle.",
                f"Heads: {', '.join(HEADS)}; or fit your own on features.X(tap).",
                'Type, for example:  head="svm"   or   --head "knn(k=20)"',
            )
        self.head.check_parameters()
        if self.head.takes == "maps" and self.strategies != DEFAULT_STRATEGIES:
            raise UsageError(
                f"The head {self.head.kind} was asked for, with strategies.",
                "It trains on one stored map, so no taps are put together.",
                "A head that takes vectors, or no strategy.",
                "Leave out strategy",
            )

    @property
    def head_words(self) -> tuple[str, str]:
        """How head or protocol is typed."""
        if self.protocol:
            return "--protocol", self.protocol
        return "--head", spell_head(self.head)


@dataclass(frozen=True)
class FitResult:
    """A predictor with all that led to it."""

    predictor: Predictor
    dataset: Dataset
    extraction: Extraction
    ranking: Ranking
    evaluation: Evaluation
    hindsight: Hindsight | None

    @property
    def features(self) -> Features:
        return self.extraction.features


def run_fit(
    dataset: Dataset,
    backbone: Backbone,
    options: FitOptions,
    output: Path | None,
    reporter: Reporter,
) -> FitResult:
    """Split, extract, choose, fit, score the held-out rows, write the outputs."""
    if output is not None:
        check_output(output)
    for warning in dataset.warnings:
        reporter.say(f"Warning: {warning}")
    refuse_unlearnable(dataset)
    if not options.protocol:  # which draws by the seed, too
        tell_idle_seed(dataset, options.seed, reporter)
    splits_from = "data" if has_splits(dataset) else "drawn"
    dataset = assign_splits(dataset, options.seed)
    check_for_fit(dataset, options.allow_group_overlap)
    _check_size(dataset, options)
    for line in find_protocol(options.protocol).lines() if options.protocol else ():
        reporter.say(line)
    reporter.say(f"Load {backbone.spec.id}")
    _refuse_recipe_of_maps(options)
    taps, pools = recipe_taps(backbone, options.recipe, options.taps, options.pools)
    spec = backbone.feature_spec(taps, pools, options.storage, options.precision)
    check_recipe(options.recipe, spec, backbone.layers(), dataset.counts().get("train"))
    layouts = _map_layouts(backbone, spec, options.head)
    store = FeatureStore(options.store)
    try:
        extraction = extract_checked(dataset, backbone, spec, store, options.extract, reporter)
    except TooManyBadItems as error:
        if output is not None:
            write_bad_rows(output, error.quarantined)
            reporter.say(f"All bad items so far: {output / BAD_ROWS}")
        raise
    # Quarantine may have taken a class's last item.
    dataset = extraction.dataset
    refuse_unlearnable(dataset)
    check_for_fit(dataset, options.allow_group_overlap)
    features = extraction.features
    choice = ChooseOptions(recipe=options.recipe, strategies=options.strategies)
    if layouts:
        reporter.say(
            f"{options.head.kind} trains on one stored map; taps are ranked by the mean of theirs"
        )
        ranking = rank_maps(features, layouts, reporter)
    else:
        ranking = rank(features, reporter, choice)
    predictor = _fit_head(backbone, features, ranking, options, layouts)
    split, fresh = _held_out(predictor, dataset, features)
    evaluation = _score_held_out(predictor, dataset, features, split, fresh)
    evaluation = replace(evaluation, splits_from=splits_from)
    hindsight = None if layouts else look_back(Task.of(features, choice), ranking, fresh, split)
    result = FitResult(predictor, dataset, extraction, ranking, evaluation, hindsight)
    predictor.card = _card(result, options)
    if output is not None:
        _write_outputs(result, options, output)
    return result


def tell_idle_seed(dataset: Dataset, seed: int, reporter: Reporter) -> None:
    """Say so if a seed was named that draws nothing."""
    if seed and has_splits(dataset):
        reporter.say(f"Warning: seed {seed} draws no split, as the data brings its own")


def _check_size(dataset: Dataset, options: FitOptions) -> None:
    n_rows = len(dataset.only("train"))
    check_options(ChooseOptions(recipe=options.recipe, strategies=options.strategies), n_rows)


def check_output(folder: Path) -> None:
    """Raise an error unless predictor and report can be made here and written to `folder`."""
    refuse_foreign(folder)
    check_writable(folder, "The predictor")
    require_report(folder / REPORT, "The HTML report")


def check_store(folder: Path) -> None:
    """Raise `UsageError` if `folder` can't be one. One that is read-only may hold all there is."""
    blocking = next((each for each in (folder, *folder.absolute().parents) if each.is_file()), None)
    if blocking is not None:
        raise UsageError(
            f'Features can\'t be kept in "{folder}".',
            f'"{blocking}" is a file.',
            "A folder, which need not be there yet.",
            'Type, for example:  --store features   or   store="features"',
        )


def check_request(
    pools: Sequence[str], storage: str, precision: str, engine: str, seed: int
) -> None:
    """Raise `UsageError` for what no extraction can serve, whatever the network."""
    if not pools or not all(isinstance(pool, str) for pool in pools):
        raise UsageError(
            f"The pools are {pools!r}.",
            "A pool is named by text.",
            "One pool at least.",
            'Type, for example:  pool="gap"   or   --pool "gem(3)"',
        )
    for pool in pools:
        if pool != AUTO:
            canonical_pool(pool)
    check_choice("storage", storage, STORAGES, "fp32")
    check_choice("precision", precision, PRECISIONS, "bf16")
    refuse_precision(engine, precision)
    check_seed(seed)


def refuse_named_twice(
    recipe: Recipe, taps: Sequence[str | int] | str, pools: Sequence[str]
) -> None:
    """Raise `UsageError` if both the recipe and the options name taps, or pools."""
    twice = [
        name
        for name, is_twice in (
            ("taps", recipe.n_stages is not None and taps != AUTO),
            ("pools", recipe.pools and tuple(pools) != DEFAULT_POOLS),
        )
        if is_twice
    ]
    if twice:
        raise UsageError(
            f"{' and '.join(twice).capitalize()} are named twice: "
            f'by the recipe "{recipe}" and beside it.',
            "One of the two would not be followed.",
            "Only the recipe, or a recipe without them.",
            f"Leave out {' and '.join(f'--{name[:-1]}' for name in twice)}",
        )


def recipe_taps(
    backbone: Backbone, recipe: Recipe, taps: Sequence[str | int] | str, pools: Sequence[str]
) -> tuple[Sequence[str | int] | str, Sequence[str]]:
    """Return taps and pools, of the recipe or of the options."""
    refuse_named_twice(recipe, taps, pools)
    if taps == AUTO:
        taps = recipe.taps(backbone.layers()) or AUTO
    return taps, recipe.pools or pools


def check_recipe(
    recipe: Recipe, spec: FeatureSpec, table: LayerTable, n_rows: int | None = None
) -> None:
    """Raise `UsageError` unless a recipe can take the taps; nothing is computed before.

    Parameters
    ----------
    n_rows : int, optional
        Training rows, where known.
    """
    layouts = map_layouts((table[tap.layer], tap.pool) for tap in spec.taps)
    vectors = [tap for tap in spec.taps if tap.name not in layouts]
    if recipe.pools_maps and vectors:
        typed = replace(recipe, pools=("grid(4)",))
        raise UsageError(
            f'The recipe "{recipe}" pools stored maps itself; {len(vectors)} of '
            f"{len(spec.taps)} taps are vectors.",
            f"{', '.join(tap.name for tap in vectors)[:200]}.",
            "The pool grid(n), a smaller map, or none, the whole activation.",
            f'Type, for example:  --recipe "{typed}"   (or:  --pool "grid(4)")',
        )
    taken = spec.taps if recipe.pools_maps else vectors
    widths = {tap.name: _columns(table[tap.layer], tap, recipe.pools_maps) for tap in taken}
    check_widths(recipe, {tap: width for tap, width in widths.items() if width}, n_rows)


def _columns(layer: Layer, tap: TapSpec, of_map: bool) -> int | None:
    """Return a tap's columns, or its map's channels; None where the network doesn't say."""
    if of_map or tap.pool == "gram":
        return layer.channels if of_map else None
    try:
        return pooled_width(layer, tap.pool)
    except ShapeError:
        return None


def _refuse_recipe_of_maps(options: FitOptions) -> None:
    """Raise `UsageError` if a head that pools itself is to follow stages on vectors."""
    recipe = options.recipe
    if options.head.takes != "maps" or not (recipe.before or recipe.aggregate or recipe.after):
        return
    raise UsageError(
        f'The head {options.head.kind} after the recipe "{recipe}" was asked for.',
        "It pools stored maps itself; the recipe's stages are for vectors.",
        "A recipe of taps and pools alone, or a head that takes vectors.",
        f'Type, for example:  --pool "grid(4)" --head {options.head.kind}',
    )


def _map_layouts(backbone: Backbone, spec: FeatureSpec, head: Head) -> dict[str, str]:
    """Return the layout of each stored map, by tap; none if the head takes vectors."""
    if head.takes != "maps":
        return {}
    table = backbone.layers()
    found = map_layouts((table[tap.layer], tap.pool) for tap in spec.taps)
    if not found:
        raise UsageError(
            f"The head {head.kind} was asked for.",
            "It trains on stored maps or tokens, and all taps are pooled to vectors.",
            "The pool grid(n), a smaller map, or none, the whole activation.",
            f'Type, for example:  --pool "grid(4)" --head {head.kind}',
        )
    ragged = free_rows((table[tap.layer], tap.pool) for tap in spec.taps)
    if ragged:
        raise UsageError(
            f'The head {head.kind} can\'t be trained on "{next(iter(ragged))}": its rows differ in '
            "length.",
            "They are whole activations of items that differ in length.",
            "Maps of one size, as the pool grid(n) keeps of maps and of time; or a head that takes "
            "vectors.",
            f'Type, for example:  --pool "grid(4)" --head {head.kind}   or:  --pool gap',
        )
    return found


def _fit_head(
    backbone: Backbone,
    features: Features,
    ranking: Ranking,
    options: FitOptions,
    layouts: Mapping[str, str],
) -> Predictor:
    rows = features.rows_of("train")
    taken = ranking.taken
    recipe, X = fit_recipe(parse_recipe(taken.recipe), features, taken.taps, rows)
    labels = np.array(features.labels[rows].tolist())  # of the type they came in
    groups = features.group_numbers(rows)
    if options.protocol:
        head = fit_protocol(options.protocol, X, labels, options.seed, groups)
    else:
        head = clone(options.head)
        if layouts:
            head.set_params(layout=layouts[taken.tap])
        head.fit(X, labels, groups=groups)
    revision = features.spec.revision
    taps = [TapSpec.from_name(tap, revision) for tap in recipe.taps]
    trained_on = frozenset(short_digest(digest) for digest in features.digests[rows])
    return Predictor(
        backbone,
        recipe,
        head,
        trained_on,
        options.seed,
        storage=features.spec.storage,
        precision=features.spec.precision,
        network=network_of(features.spec, FeatureStore(options.store), taps),
        revision=revision,
    )


def _held_out(predictor: Predictor, dataset: Dataset, features: Features) -> tuple[str, Array]:
    """Return the split to score, and its rows without those whose bytes were trained on."""
    split = "test" if len(features.rows_of("test")) else "val"
    rows = features.rows_of(split)
    digests = zip(rows, features.digests[rows], strict=True)
    fresh = [row for row, digest in digests if short_digest(digest) not in predictor.trained_on]
    if not fresh:
        raise DataError(
            f'A score for "{dataset.name}" was asked for.',
            f"All {len(rows)} items of split {split} have the same bytes as training items.",
            "Items to test on that are not trained on.",
            "Look at the splits; the same files may have been copied into both.",
        )
    return split, np.array(fresh, int)


def _score_held_out(
    predictor: Predictor, dataset: Dataset, features: Features, split: str, fresh: Array
) -> Evaluation:
    """Score the held-out rows, once."""
    items = {item.key: item for item in dataset.items}
    return make_evaluation(
        predictor,
        split,
        [items[key] for key in features.keys[fresh]],
        predictor.head.predict_proba(predictor.recipe.of(features, fresh)),
        n_left_out=len(features.rows_of(split)) - len(fresh),
        n_other_splits=len(features) - len(features.rows_of(split)),
    )


def _card(result: FitResult, options: FitOptions) -> dict[str, Any]:
    """Return how the predictor was made, in JSON types."""
    extraction, spec = result.extraction, result.features.spec
    table = result.predictor.backbone.layers()
    return {
        "data": result.dataset.name,
        "counts": result.dataset.counts(),
        "backbone": spec.backbone.id,
        "feature_spec": spec.fingerprint(),
        "precision": spec.precision,
        "precision_check": result.features.precision_check,
        "layers": {tap.layer: table[tap.layer].macs for tap in spec.taps},
        "ranking": result.ranking.to_json(),
        "variance_kept": result.predictor.recipe.variance_kept(),
        "head": {
            "text": options.head_words[1],
            "chosen": result.predictor.head.chosen,
            "temperature": result.predictor.head.temperature_,
        },
        "evaluation": result.evaluation.to_json(),
        "hindsight": result.hindsight and result.hindsight.to_json(),
        "extraction": {
            "engine": extraction.engine,
            "n_forward": extraction.n_forward,
            "n_calibration": extraction.n_calibration,
            "n_stored": extraction.plan.n_stored,
            "seconds": round(extraction.seconds, 3),
        },
        "n_quarantined": len(result.features.quarantined),
        "warnings": list(result.features.warnings),
        "store": str(options.store),
    }


def _write_outputs(result: FitResult, options: FitOptions, output: Path) -> None:
    features, predictor = result.features, result.predictor
    predictor.save(output)
    splits = zip(features.keys, features.splits, features.labels, strict=True)
    write_csv(output / SPLITS, ("key", "split", "label"), splits)
    write_bad_rows(output, features.quarantined)
    facts = {
        "choice": result.ranking.headline(),
        "data": ", ".join(f"{count} {split}" for split, count in result.dataset.counts().items()),
        "backbone": f"{predictor.backbone.spec.id}, cut at {predictor.recipe}",
        "head": _head_line(predictor.head),
        "advice": advise(result.ranking, len(predictor.classes)),
        "extraction": _extraction_line(result.extraction),
        **_precision_line(features),
        **({"variance": "; ".join(kept)} if (kept := predictor.recipe.variance_lines()) else {}),
        "machine": f"{platform.machine()}, Python {platform.python_version()}",
    }
    command = _command(result, options, output)
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


def _head_line(head: Head) -> str:
    chosen = ", ".join(f"{name} {value:.3g}" for name, value in head.chosen.items())
    left_out = f"; chosen on rows left out: {chosen}" if chosen else ""
    return f"{spell_head(head)}{left_out}; temperature {head.temperature_:.3g}"


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


def write_bad_rows(folder: Path, quarantined: Sequence[tuple[str, str]]) -> None:
    """Write ``bad_rows.csv`` with key and reason; without bad rows there is no such file."""
    path = folder / BAD_ROWS
    if quarantined:
        write_csv(path, ("key", "reason"), quarantined)
    elif path.exists():  # else a disk that may only be read would refuse what need not be done
        with told(path, "removed"):
            path.unlink()


def _command(result: FitResult, options: FitOptions, output: Path) -> str:
    """Return what repeats the run: a command line, or Python where none can say it."""
    data, backbone = result.dataset.name, result.predictor.backbone
    said = _said(options)
    if not (Path(data).exists() and backbone.can_be_typed):
        given = repr(data) if Path(data).exists() else f"<{data}>"
        words = [given, repr(str(output)), backbone.load_call]
        return f"cp.fit({', '.join([*words, *(f'{key}={value!r}' for key, _, value in said)])})"
    words = ["cutpoint", "fit", data, "-o", str(output), *backbone.load_words]
    for _, option, value in said:
        values = value if isinstance(value, list) else [value]
        words += [option] if value is True else [w for v in values for w in (option, str(v))]
    return shlex.join(words)


def _said(options: FitOptions) -> list[tuple[str, str, Any]]:
    """Return what differs from the defaults, as (Python's word, the command line's, value)."""
    taps = [options.taps] if isinstance(options.taps, str) else list(options.taps)
    option, head = options.head_words
    chosen = [
        ("taps", "--tap", taps, [AUTO]),
        ("pool", "--pool", list(options.pools), list(DEFAULT_POOLS)),
        ("recipe", "--recipe", str(options.recipe), ""),
        (option.removeprefix("--"), option, head, None),
        ("storage", "--storage", options.storage, AUTO),
        ("strategy", "--strategy", list(options.strategies), list(FitOptions.strategies)),
        ("precision", "--precision", options.precision, "fp32"),
        ("store", "--store", str(options.store), ""),
        ("seed", "--seed", options.seed, None),
        ("max_bad", "--max-bad", options.extract.max_bad, None),
        ("engine", "--engine", options.extract.engine, None),
        ("allow_group_overlap", "--allow-group-overlap", options.allow_group_overlap, False),
        ("follow_links", "--follow-links", options.follow_links, False),
    ]
    return [(key, word, value) for key, word, value, default in chosen if value != default]

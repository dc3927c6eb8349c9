"""The whole way from items to a predictor that has been scored once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
from sklearn.base import clone

from cutpoint.base.errors import DataError, TooManyBadItems, UsageError
from cutpoint.base.progress import Reporter
from cutpoint.base.spec import FeatureSpec, TapSpec
from cutpoint.base.tongue import arguments, option
from cutpoint.base.types import Array
from cutpoint.features.extraction import Extraction
from cutpoint.features.extraction.bad_rows import BAD_ROWS, write_bad_rows
from cutpoint.features.extraction.quantising import network_of
from cutpoint.features.store import Features, FeatureStore
from cutpoint.items.reading import (
    Dataset,
    Item,
    assign_splits,
    check_for_fit,
    has_splits,
    labelled,
    refuse_unlearnable,
    settle_kind,
    tell_idle_seed,
    unlabelled_line,
    without_unlabelled_splits,
)
from cutpoint.learning.choosing import (
    HeadChoice,
    Ranking,
    check_options,
    compare_heads,
    extract_checked,
    fit_head,
    look_back,
    rank,
    rank_maps,
    usual_head,
)
from cutpoint.learning.choosing.ranking_task import Task
from cutpoint.learning.heads import Head, find_protocol, fit_protocol
from cutpoint.learning.metrics import conformal_margin
from cutpoint.learning.recipe import fit_recipe, parse_recipe
from cutpoint.learning.recipe.taps import check_recipe, recipe_taps
from cutpoint.networks.backbone import Backbone
from cutpoint.networks.pooling import free_rows, map_layouts
from cutpoint.products.evaluation import Evaluation, make_evaluation
from cutpoint.products.fitting.floor import floor_line
from cutpoint.products.fitting.options import AUTO_HEAD, FitOptions
from cutpoint.products.fitting.outputs import FitResult, check_output, make_card, write_outputs
from cutpoint.products.predictor import Predictor, said_by, short_digest


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
    options = options.resolved(settle_kind(dataset, options.kind, reporter.say))
    dataset = without_unlabelled_splits(dataset)
    splits_from = "data" if has_splits(dataset) else "drawn"
    dataset = _split(dataset, options, reporter)
    spec, layouts = _planned(dataset, backbone, options, reporter)
    extraction = _extracted(dataset, backbone, spec, options, output, reporter)
    dataset, features = extraction.dataset, extraction.features
    # Quarantine may have taken a class's last item.
    refuse_unlearnable(dataset, options.target)
    check_for_fit(dataset, options.allow_group_overlap, options.target)
    ranking = _ranking(features, layouts, options, reporter)
    task = Task.of(features, options.choice, features.rows_of("train"))
    options, why = _with_head(options, task, reporter)
    head, heads = _head(task, ranking, options, layouts, reporter)
    predictor = _fit_predictor(backbone, task, ranking, options, head)
    split, fresh = _held_out(predictor, dataset, features)
    evaluation = _score_held_out(predictor, dataset, features, split, fresh)
    evaluation = replace(evaluation, splits_from=splits_from)
    hindsight = None
    if not layouts:
        hindsight = look_back(task, ranking, fresh, split)
    floor = floor_line(predictor, dataset.only("train").items, _items_of(dataset, features, fresh))
    result = FitResult(
        predictor, dataset, extraction, ranking, evaluation, hindsight, heads, floor, why
    )
    result = replace(result, predictor=replace(predictor, card=make_card(result, options)))
    if output is not None:
        write_outputs(result, options, output)
    return result


def _split(dataset: Dataset, options: FitOptions, reporter: Reporter) -> Dataset:
    """Return the data with its splits, fit to learn from; say what was noticed."""
    for warning in dataset.warnings:
        reporter.say(f"Warning: {warning}")
    refuse_unlearnable(dataset, options.target)
    if line := unlabelled_line(dataset):
        reporter.say(line)
    seed = options.request.seed
    if not options.protocol:  # which draws by the seed, too
        tell_idle_seed(dataset, seed, reporter)
    dataset = assign_splits(dataset, seed, options.target)
    check_for_fit(dataset, options.allow_group_overlap, options.target)
    check_options(options.choice, len(dataset.only("train")))
    return dataset


def _planned(
    dataset: Dataset, backbone: Backbone, options: FitOptions, reporter: Reporter
) -> tuple[FeatureSpec, dict[str, str]]:
    """Return what is computed, and the layout of each map that a learned pool may train on."""
    for line in find_protocol(options.protocol).lines() if options.protocol else ():
        reporter.say(line)
    reporter.say(f"Load {backbone.spec.id}")
    _refuse_recipe_of_maps(options)
    spec = recipe_taps(backbone, options.recipe, options.request).spec(backbone)
    check_recipe(options.recipe, spec, backbone.layers(), dataset.counts().get("train"))
    return spec, _map_layouts(backbone, spec, options.candidates[0])


def _extracted(
    dataset: Dataset,
    backbone: Backbone,
    spec: FeatureSpec,
    options: FitOptions,
    output: Path | None,
    reporter: Reporter,
) -> Extraction:
    store = FeatureStore(options.request.store)
    try:
        how = options.request.how
        return extract_checked(dataset, backbone, spec, store, how, reporter, options.target)
    except TooManyBadItems as error:
        if output is not None:
            write_bad_rows(output, error.quarantined)
            reporter.say(f"All bad items so far: {output / BAD_ROWS}")
        raise


def _ranking(
    features: Features, layouts: Mapping[str, str], options: FitOptions, reporter: Reporter
) -> Ranking:
    if not layouts:
        return rank(features, reporter, options.choice)
    kind = options.candidates[0].kind
    reporter.say(f"{kind} trains on one stored map; taps are ranked by the mean of theirs")
    return rank_maps(features, layouts, reporter, options.target)


def _refuse_recipe_of_maps(options: FitOptions) -> None:
    """Raise `UsageError` if a head that pools itself is to follow stages on vectors."""
    recipe, head = options.recipe, options.candidates[0]
    if head.takes != "maps" or not (recipe.before or recipe.aggregate or recipe.after):
        return
    raise UsageError(
        f'The head {head.kind} can\'t follow the recipe "{recipe}".',
        "It pools stored maps itself; the recipe's stages are for vectors.",
        "A recipe of taps and pools alone, or a head that takes vectors.",
        f"Type, for example:  {arguments(pool='grid(4)', head=head.kind)}",
    )


def _map_layouts(backbone: Backbone, spec: FeatureSpec, head: Head) -> dict[str, str]:
    """Return the layout of each stored map, by tap; none if the head takes vectors."""
    if head.takes != "maps":
        return {}
    table = backbone.layers()
    found = map_layouts((table[tap.layer], tap.pool) for tap in spec.taps)
    if not found:
        raise UsageError(
            f"The head {head.kind} has nothing to train on.",
            "It trains on stored maps or tokens, and all taps are pooled to vectors.",
            "The pool grid(n), a smaller map, or none, the whole activation.",
            f"Type, for example:  {arguments(pool='grid(4)', head=head.kind)}",
        )
    ragged = free_rows((table[tap.layer], tap.pool) for tap in spec.taps)
    if ragged:
        raise UsageError(
            f'The head {head.kind} can\'t be trained on "{next(iter(ragged))}": its rows differ in '
            "length.",
            "They are whole activations of items that differ in length.",
            "Maps of one size, as the pool grid(n) keeps of maps and of time; or a head that takes "
            "vectors.",
            f"Type, for example:  {arguments(pool='grid(4)', head=head.kind)}   or:  "
            f"{option('pool', 'gap')}",
        )
    return found


def _with_head(options: FitOptions, task: Task, reporter: Reporter) -> tuple[FitOptions, str]:
    """Return the options with a head, and why it is that one; nothing where it was named."""
    if options.heads or options.protocol:
        return options, ""
    head, why = usual_head(task)
    if why:
        reporter.say(f"Head: {head} ({why}). Take another with:  {option('head', 'auto')}")
    return replace(options, heads=(head,)), why


def _head(
    task: Task,
    ranking: Ranking,
    options: FitOptions,
    layouts: Mapping[str, str],
    reporter: Reporter,
) -> tuple[Head, HeadChoice | None]:
    """Return the head to fit; of several, compared on rows left out, the one that is taken."""
    heads, taken = options.candidates, ranking.taken
    is_one = len(options.heads) == 1 and options.heads != (AUTO_HEAD,)
    if is_one or options.protocol:  # which fits a head of its own
        head = clone(heads[0])
        return head.set_params(layout=layouts[taken.tap]) if layouts else head, None
    head, choice = compare_heads(task, heads, taken.taps, parse_recipe(taken.recipe), reporter)
    return clone(head), choice


def _fit_predictor(
    backbone: Backbone, task: Task, ranking: Ranking, options: FitOptions, head: Head
) -> Predictor:
    features, rows, taken = task.features, task.rows, ranking.taken
    recipe, X = fit_recipe(parse_recipe(taken.recipe), features, taken.taps, rows)
    if options.protocol:
        labels = np.array(features.labels[rows].tolist())  # of the type they came in
        head = fit_protocol(options.protocol, X, labels, options.request.seed, task.groups)
    else:
        fit_head(head, X, task)
    revision = features.spec.revision
    taps = [TapSpec.from_name(tap, revision) for tap in recipe.taps]
    trained_on = frozenset(short_digest(digest) for digest in features.digests[rows])
    return Predictor(
        backbone,
        recipe,
        head,
        trained_on,
        options.request.seed,
        storage=features.spec.storage,
        precision=features.spec.precision,
        network=network_of(features.spec, FeatureStore(options.request.store), taps),
        margin=conformal_margin(np.abs(head.held_out_scores_ - task.targets.Y)[:, 0])
        if head.target == "values"
        else None,
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
            f'There is nothing to score in "{dataset.name}".',
            f"All {len(rows)} items of split {split} have the same bytes as training items.",
            "Items to test on that are not trained on.",
            "Look at the splits; the same files may have been copied into both.",
        )
    return split, np.array(fresh, int)


def _items_of(dataset: Dataset, features: Features, rows: Array) -> list[Item]:
    items = {item.key: item for item in dataset.items}
    return [items[key] for key in features.keys[rows]]


def _score_held_out(
    predictor: Predictor, dataset: Dataset, features: Features, split: str, fresh: Array
) -> Evaluation:
    """Score the held-out rows, once."""
    return make_evaluation(
        predictor,
        split,
        _items_of(dataset, features, fresh),
        said_by(predictor.head, predictor.recipe.of(features, fresh)),
        n_left_out=len(features.rows_of(split)) - len(fresh),
        n_other_splits=len(labelled(dataset)) - len(features.rows_of(split)),
    )

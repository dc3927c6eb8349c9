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
from cutpoint.base.types import Array
from cutpoint.features.extraction import Extraction
from cutpoint.features.extraction.bad_rows import BAD_ROWS, write_bad_rows
from cutpoint.features.extraction.quantising import network_of
from cutpoint.features.store import Features, FeatureStore
from cutpoint.items.reading import (
    Dataset,
    assign_splits,
    check_for_fit,
    has_splits,
    refuse_unlearnable,
    tell_idle_seed,
)
from cutpoint.learning.choosing import (
    Ranking,
    check_options,
    extract_checked,
    look_back,
    rank,
    rank_maps,
)
from cutpoint.learning.choosing.ranking_task import Task
from cutpoint.learning.heads import Classifier as Head
from cutpoint.learning.heads import find_protocol, fit_protocol
from cutpoint.learning.recipe import fit_recipe, parse_recipe
from cutpoint.learning.recipe.taps import check_recipe, recipe_taps
from cutpoint.networks.backbone import Backbone
from cutpoint.networks.pooling import free_rows, map_layouts
from cutpoint.products.evaluation import Evaluation, make_evaluation
from cutpoint.products.fitting.options import FitOptions
from cutpoint.products.fitting.outputs import FitResult, check_output, make_card, write_outputs
from cutpoint.products.predictor import Predictor, short_digest


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
    splits_from = "data" if has_splits(dataset) else "drawn"
    dataset = _split(dataset, options, reporter)
    spec, layouts = _planned(dataset, backbone, options, reporter)
    extraction = _extracted(dataset, backbone, spec, options, output, reporter)
    dataset, features = extraction.dataset, extraction.features
    # Quarantine may have taken a class's last item.
    refuse_unlearnable(dataset)
    check_for_fit(dataset, options.allow_group_overlap)
    ranking = _ranking(features, layouts, options, reporter)
    predictor = _fit_head(backbone, features, ranking, options, layouts)
    split, fresh = _held_out(predictor, dataset, features)
    evaluation = _score_held_out(predictor, dataset, features, split, fresh)
    evaluation = replace(evaluation, splits_from=splits_from)
    hindsight = None
    if not layouts:
        hindsight = look_back(Task.of(features, options.choice), ranking, fresh, split)
    result = FitResult(predictor, dataset, extraction, ranking, evaluation, hindsight)
    result = replace(result, predictor=replace(predictor, card=make_card(result, options)))
    if output is not None:
        write_outputs(result, options, output)
    return result


def _split(dataset: Dataset, options: FitOptions, reporter: Reporter) -> Dataset:
    """Return the data with its splits, fit to learn from; say what was noticed."""
    for warning in dataset.warnings:
        reporter.say(f"Warning: {warning}")
    refuse_unlearnable(dataset)
    seed = options.request.seed
    if not options.protocol:  # which draws by the seed, too
        tell_idle_seed(dataset, seed, reporter)
    dataset = assign_splits(dataset, seed)
    check_for_fit(dataset, options.allow_group_overlap)
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
    return spec, _map_layouts(backbone, spec, options.head)


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
        return extract_checked(dataset, backbone, spec, store, options.request.how, reporter)
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
    kind = options.head.kind
    reporter.say(f"{kind} trains on one stored map; taps are ranked by the mean of theirs")
    return rank_maps(features, layouts, reporter)


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
        head = fit_protocol(options.protocol, X, labels, options.request.seed, groups)
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
        options.request.seed,
        storage=features.spec.storage,
        precision=features.spec.precision,
        network=network_of(features.spec, FeatureStore(options.request.store), taps),
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

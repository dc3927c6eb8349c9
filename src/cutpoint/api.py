"""The functions a newcomer needs."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any, Unpack, overload

from cutpoint.base.arguments import (
    as_path,
    check_choice,
    check_count,
    check_flags,
    check_workers,
)
from cutpoint.base.errors import UsageError
from cutpoint.base.progress import Reporter
from cutpoint.base.spec import DECODES, Preprocess
from cutpoint.base.text import a_kind, shown
from cutpoint.base.tongue import option, options
from cutpoint.features.extraction import Profile
from cutpoint.features.extraction.encode import Encoder, normalised, prompt_of
from cutpoint.features.extraction.request import DEFAULT_POOLS, Request, several
from cutpoint.features.store import Features, FeatureStore
from cutpoint.items.kinds import defaults_of
from cutpoint.items.reading import (
    APART,
    Column,
    ColumnNames,
    Columns,
    DataColumns,
    Dataset,
    ItemColumns,
    assign_splits,
    check_kind,
    has_splits,
    kind_of,
    read_dataset,
    read_items,
    unlabelled_line,
    with_unlabelled,
    without_unlabelled_splits,
)
from cutpoint.items.reading import AUTO as AUTO_KIND
from cutpoint.items.reading.arrays import read_arrays
from cutpoint.learning.choosing import (
    BackboneRanking,
    ChooseOptions,
    Ranking,
    check_options,
    choose_backbones,
    extract_requested,
    rank,
)
from cutpoint.learning.finetune import ALPHAS, parse_unfreeze
from cutpoint.learning.heads import Head
from cutpoint.learning.recipe import Recipe, as_recipe
from cutpoint.networks.backbone import Backbone, LoadOptions
from cutpoint.networks.engines import check_engine
from cutpoint.networks.layer_table import AUTO, LayerTable
from cutpoint.networks.sources import load_backbone, load_object
from cutpoint.products.evaluation import Evaluation, check_split, evaluate_predictor
from cutpoint.products.finetuning import FinetuneOptions, run_finetune
from cutpoint.products.fitting import FitOptions, check_output, run_fit
from cutpoint.products.predictor import AnyPrediction, Predictor, load_predictor
from cutpoint.products.report import ReportInputs, require_report, write_report

DEFAULT_TEXT_BACKBONE = defaults_of("text").backbone
_ENCODE_ARGUMENTS = (
    "prompt_name",
    "prompt",
    "batch_size",
    "show_progress_bar",
    "normalize_embeddings",
    "truncate_dim",
    "convert_to_numpy",
    "convert_to_tensor",
)

__all__ = [
    "choose",
    "encode",
    "evaluate",
    "extract",
    "finetune",
    "fit",
    "load",
    "load_predictor",
    "predict",
]


def load(
    name: Any,
    preprocess: str | Preprocess | None = None,
    *,
    trust_weights: bool = False,
    build: Callable[[], Any] | None = None,
    decode: str | None = None,
    inputs: Mapping[str, str | int | float] | None = None,
    **reading: Any,
) -> Backbone:
    """Return a backbone by its name or path, or around a network.

    Parameters
    ----------
    name : str, path, nn.Module, keras.Model or Backbone
        ``"packaged:efficientnet_lite0"``, ``"tfjs:folder/model.json"``, ``"net.onnx"``, a network.
    preprocess : {"imagenet", "tf", "caffe", "unit", "none"}, JSON file, or spec, optional
        How the weights were fed in training. Required where the source can't know: bare files and
        networks. Named weights bring their own.
    trust_weights : bool
        Whether formats that can run code (SavedModel, Lambda layers) may be loaded.
    build : callable, optional
        Returns the network that the state dict of ``"torch:file"`` belongs to.
    decode : {"exact", "scaled"}, optional
        ``"scaled"``: JPEG files of four times the network's size and more are decoded at a reduced
        size, two to three times as fast. Other pixels, so other features: how far from exact ones
        is reported when they are computed. By default what `preprocess` says, which is exact.
    inputs : mapping of name → "zeros", "ones" or number, optional
        Constants for inputs of the network that carry no data, ``{"state": "zeros", "sr": 16000}``.
        Free sizes are 1; ``"zeros(2,1,128)"`` says the shape where the network does not.
    **reading
        How items are read, as their kind has it. For texts: ``long="chunks"``,
        ``prompt="query: "``, ``empty="keep"``, ``specials="tokens"``, ``max_tokens=128``,
        ``overlap=32`` (``docs/backbones.md``).

    Raises
    ------
    BackboneNotFound
        If there is no such source or backbone.
    WeightsError
        If weights are missing, broken, partial, or can run code and are not trusted.
    UsageError
        If the preprocessing is not known and not stated.
    """
    check_flags(trust_weights=trust_weights)
    if decode is not None:
        check_choice("decode", decode, DECODES, "scaled")
    found = _load(name, preprocess, trust_weights, build, inputs, reading)
    return found if decode is None else found.decoding(decode)


def _load(
    name: Any,
    preprocess: str | Preprocess | None,
    trust_weights: bool,
    build: Callable[[], Any] | None,
    inputs: Mapping[str, str | int | float] | None,
    reading: Mapping[str, Any],
) -> Backbone:
    if isinstance(name, Backbone):
        if preprocess is not None or trust_weights or build is not None or inputs:
            raise UsageError(
                "preprocess, trust_weights, build and inputs go with the name of a backbone.",
                "They say how one is loaded, and this one is loaded already.",
                "The backbone alone, or its name with them.",
                f"Type, for example:  cp.load({name.load_name!r}, preprocess=…)",
            )
        return name.reading(reading) if reading else name
    if isinstance(name, (str, os.PathLike)):
        options = LoadOptions(preprocess, trust_weights, build, inputs=inputs, reading=reading)
        return load_backbone(os.fspath(name), options)
    if trust_weights or build is not None:
        raise UsageError(
            f"trust_weights and build go with a file, not with {a_kind(name)}.",
            "They say how a file is read, and the network is in memory already.",
            "The network and its preprocessing.",
            'Type, for example:  cp.load(network, preprocess="imagenet")',
        )
    found = load_object(name, preprocess, inputs=inputs)
    return found.reading(reading) if reading else found


def default_backbone(data: Any, columns: Columns | None = None) -> str:
    """Return the name of the backbone that is taken for `data` where nobody names one.

    Raises
    ------
    UsageError
        If it can't be told what kind of items the data holds, or that kind has no backbone.
    """
    kind = kind_of(data, columns)
    found = defaults_of(kind).backbone
    if not found:
        raise UsageError(
            f"Items of kind {kind} have no backbone that is taken by default.",
            f"{_shown(data)} holds such items, and no backbone is named.",
            "The name of a backbone, or the path of a file of weights.",
            "Name a backbone, for example:  onnx:net.onnx",
        )
    return found


def list_layers(
    name: str,
    preprocess: str | None = None,
    *,
    trust_weights: bool = False,
    inputs: Mapping[str, str | int | float] | None = None,
    **reading: Any,
) -> LayerTable:
    """Return the layers of a backbone by its name or path.

    Nothing is fed, so how the weights were fed in training need not be known where the file or its
    configuration knows the shape of an item.
    """
    options = LoadOptions(
        preprocess, trust_weights, only_lists=True, inputs=inputs, reading=reading
    )
    return load_backbone(name, options).layers()


def extract(
    data: Any,
    backbone: str | Backbone | None = None,
    taps: Sequence[str | int] | str = AUTO,
    pool: str | Sequence[str] = DEFAULT_POOLS,
    store: str | os.PathLike[str] | None = None,
    *,
    labels: Column | None = None,
    groups: Column | None = None,
    splits: Column | None = None,
    engine: str = "auto",
    precision: str = "fp32",
    n_workers: int | None = None,
    max_bad: float = 0.01,
    seed: int = 0,
    storage: str = AUTO,
    follow_links: bool = False,
    profile: bool | Callable[[Profile], None] = False,
    quiet: bool = False,
    **columns: Unpack[ColumnNames],
) -> Features:
    """Compute frozen features of `data` once and keep them on disk.

    Items that can't be used are listed with their reasons in ``bad_rows.csv`` in the store.

    Parameters
    ----------
    data : folder, manifest (CSV, TSV, JSON lines, Parquet, Arrow), or sequence of items
        A folder of class folders, or of manifests ``train.*``, ``test.*``. Items are paths, file
        bytes, or what their kind takes: PIL images and uint8 arrays, texts.
    backbone : str or Backbone, optional
        By default that of the kind of items, as the data shows it.
    taps : "auto", "inner", or names, indices and globs of layers
        ``"auto"``: the ends of blocks, evenly spread. ``"inner"``: attention and activations
        within blocks. In a list, both.
    pool : str or sequence of str
        ``auto``, ``gap``, ``gmp``, ``gem(p)``, ``spp``, ``rmac``, ``cls``, ``none`` and others:
        ``docs/features.md``.
    store : path, optional
        `default_store` if absent.
    labels, groups, splits : sequences or mappings, optional
        For items in memory one value each, in their order; for files key → value, with keys as in
        ``features.keys`` (``"cat/001.jpg"``). They go before what the data brings. `splits` may
        be the path of a ``splits.csv`` that `fit` has written.
    **columns : str
        How a manifest is read: the columns ``text``, ``text_pair``, ``image``, ``path``,
        ``label``, ``group``, ``split``, ``id``; its ``encoding``; ``dev="judge"``.
    engine : {"auto", "openvino", "onnxruntime", "torch", "native"}
    precision : {"fp32", "bf16", "fp16", "int8"}
        What the network computes in. Other numbers, so other features: how far from fp32, and
        what leave-one-out accuracy that costs, is reported, and in ``features.precision_check``.
    n_workers : int, optional
        Threads; as many as cores by default.
    max_bad : float, 0–1
        Share of items that may be quarantined before the run stops.
    seed : int
        Draws the test split of the labelled items, if the data brings none.
    storage : {"auto", "fp32", "fp16"}
        In which features are kept; "auto" is half precision for whole maps (pools ``none`` and
        ``grid``), single for vectors. An item with a value that half precision can't hold is bad.
    profile : bool or callable, default False
        Whether to print where the time went; or what is given the `Profile` instead.
    quiet : bool
        Whether to show no progress.

    Returns
    -------
    features : Features
        ``features.X(tap)`` beside ``features.keys`` and ``features.labels``.

    Raises
    ------
    TooManyBadItems
        If more items than `max_bad` allows can't be used.
    UsageError
        If no engine computes in `precision` here, or it costs too much accuracy.
    """
    check_flags(follow_links=follow_links, quiet=quiet)
    if not callable(profile):
        check_flags(profile=profile)
    request = Request.of(
        taps,
        pool,
        store,
        engine=engine,
        precision=precision,
        n_workers=n_workers,
        max_bad=max_bad,
        seed=seed,
        storage=storage,
        follow_links=follow_links,
    )
    reporter = Reporter(quiet)
    named = Columns.of("extract", columns)
    found = load(default_backbone(data, named) if backbone is None else backbone)
    dataset = read_dataset(
        data, labels, groups, splits, follow_links=follow_links, kind=found.kind, columns=named
    )
    for warning in dataset.warnings:
        reporter.say(f"Warning: {warning}")
    done = extract_requested(dataset, found, request, reporter)
    if callable(profile):
        profile(done.profile)
    elif profile:
        for line in str(done.profile).split("\n"):
            reporter.say(line)
    return done.features


def encode(
    texts: Any,
    backbone: str | Backbone = DEFAULT_TEXT_BACKBONE,
    *,
    prompt_name: str | None = None,
    prompt: str | None = None,
    batch_size: int | None = None,
    show_progress_bar: bool | None = None,
    normalize_embeddings: bool = False,
    truncate_dim: int | None = None,
    convert_to_numpy: bool = True,
    convert_to_tensor: bool = False,
    n_workers: int | None = None,
    **other: Any,
) -> Any:
    """Return one vector a text, as the network's makers read it out.

    Arguments are called as in ``SentenceTransformer.encode``, and rows agree with it to 1e-5. Two
    things differ: texts that are cut are counted in a warning, and ``"[SEP]"`` in a text is those
    letters (``specials="tokens"`` in `load` makes it the special token). Texts without any token
    of their own have the vector of an empty text.

    Parameters
    ----------
    texts : str, or sequence of str or pairs of str
        One text gives one vector.
    backbone : str or Backbone
    prompt_name : str, optional
        What stands before each text, by its name in the network's configuration.
    prompt : str, optional
        The same, itself. By default what the configuration says, mostly nothing.
    batch_size : int, optional
        Texts a forward pass at most; by default up to 8 of one length, which is fastest.
    show_progress_bar : bool, optional
    normalize_embeddings : bool
        Whether vectors are given the length 1; after `truncate_dim`.
    truncate_dim : int, optional
        Numbers of a vector that are kept, the first ones.
    convert_to_numpy, convert_to_tensor : bool
        Whether rows come as one array, the default; as one tensor; or, both False, as a list of
        tensors.
    n_workers : int, optional
        Threads; as many as cores by default.

    Returns
    -------
    rows : float32 array of shape (n_texts, n_features)

    Raises
    ------
    DataError
        If an item is no text: all such are named.
    UsageError
        If the network's makers do what can't be done here; or of an argument that can't be
        followed.
    """
    _refuse_unlike_numpy(other)
    check_flags(
        show_progress_bar=False if show_progress_bar is None else show_progress_bar,
        normalize_embeddings=normalize_embeddings,
        convert_to_numpy=convert_to_numpy,
        convert_to_tensor=convert_to_tensor,
    )
    check_workers(n_workers)
    check_count("batch_size", batch_size, 8)
    check_count("truncate_dim", truncate_dim, 128)
    encoder = _encoder(backbone, n_workers)
    before = prompt_of(encoder.backbone, prompt_name, prompt)
    read = encoder.backbone.reading({"empty": "keep", **before}).spec.preprocess
    is_one = isinstance(texts, str)
    items = read_arrays([texts] if is_one else texts, kind=encoder.backbone.kind).items
    reporter = Reporter(quiet=not show_progress_bar)
    rows = encoder.encode([item.payload for item in items], read, batch_size, reporter)
    rows = rows if truncate_dim is None else rows[:, :truncate_dim]
    rows = normalised(rows) if normalize_embeddings else rows
    found: Any = rows[0] if is_one else rows
    is_array = convert_to_numpy and not convert_to_tensor
    return found if is_array else _tensors(found, convert_to_tensor)


@lru_cache(maxsize=4)
def _encoder(backbone: str | Backbone, n_workers: int | None) -> Encoder:
    """Return what encodes by a backbone; made once, as its engine is compared first."""
    return Encoder(load(backbone), n_workers)


def _refuse_unlike_numpy(given: Mapping[str, Any]) -> None:
    """Raise `UsageError` for arguments of sentence-transformers that can't be followed."""
    as_is = {
        "output_value": ("sentence_embedding",),
        "precision": ("float32",),
        "device": (None, "cpu"),
        "pool": (None,),
        "chunk_size": (None,),
    }
    wrong = [name for name, value in given.items() if value not in as_is.get(name, ())]
    if wrong:
        raise UsageError(
            f"{options(*wrong)} can't be followed.",
            "Vectors of whole texts are computed in float32 on processors, in this process.",
            f"What can be said: {', '.join(_ENCODE_ARGUMENTS)}.",
            f"Leave out {options(*wrong)}",
        )


def _tensors(rows: Any, is_one_tensor: bool) -> Any:
    import torch

    tensor = torch.from_numpy(rows.copy())
    return tensor if is_one_tensor or tensor.ndim == 1 else list(tensor)


@overload
def choose(data: Any, *args: Any, backbones: None = None, **options: Any) -> Ranking: ...
@overload
def choose(
    data: Any, *args: Any, backbones: Sequence[str | Backbone], **options: Any
) -> BackboneRanking: ...
def choose(  # type: ignore[misc]  # above is only what decides the type that comes back
    data: Any,
    recipe: str | Recipe = "",
    strategy: str | Sequence[str] = ("single", "fused"),
    kind: str = AUTO_KIND,
    *,
    backbones: Sequence[str | Backbone] | None = None,
    taps: Sequence[str | int] | str = AUTO,
    pool: str | Sequence[str] = DEFAULT_POOLS,
    store: str | os.PathLike[str] | None = None,
    labels: Column | None = None,
    groups: Column | None = None,
    splits: Column | None = None,
    balanced: bool = False,
    nested: bool = False,
    permute_labels: int | None = None,
    data_set: str | None = None,
    engine: str = "auto",
    precision: str = "fp32",
    n_workers: int | None = None,
    max_bad: float = 0.01,
    seed: int = 0,
    storage: str = AUTO,
    follow_links: bool = False,
    quiet: bool = False,
    **columns: Unpack[ColumnNames],
) -> Ranking | BackboneRanking:
    """Rank layers and pools by training rows that were left out; or several backbones by theirs.

    Parameters
    ----------
    data : Features, the path of a feature store, or labelled data as in `extract`
        Features of data are extracted first.
    recipe : str or Recipe, optional
        As in `fit`. Rows are left out one by one, exactly; or in five folds, if the recipe learns.
    strategy : str or sequence of str
        ``single``: each tap alone; ``fused``: all taps of a pool as one; ``greedy``: taps added
        while the error falls; ``weighted``: taps with weights found on leave-one-out;
        ``head2toe`` and ``ridge_norm``: the columns of all taps that group lasso, or the weights
        of a ridge head, put first.
    kind : {"auto", "classes", "labels", "values"}
        Whether a label is one class, several (``"cat;dog"``), or a number; by default as
        ``docs/data.md`` says, and what was taken is reported.
    backbones : sequence of str or Backbone, optional
        Networks to compare on `data`; the default one, alone, if there are none.
    balanced : bool
        Whether rows are weighted so that each class counts the same.
    nested : bool
        Whether to judge the whole choice, too, on rows left out of it.
    permute_labels : int, optional
        Seed to shuffle the training labels with: a check that choosing finds nothing in nothing.
    data_set : str, optional
        Which data set of a feature store, by its name or the digits of its view; the newest, and
        which that is, is reported, if several are there.
    taps, pool, store, labels, groups, splits, engine, precision, n_workers, max_bad, seed, \
storage, follow_links, **columns
        As in `extract`; for data alone.

    Returns
    -------
    ranking : Ranking, or BackboneRanking where `backbones` are given

    Raises
    ------
    UsageError
        If something is given that stored features can't follow.
    """
    check_flags(balanced=balanced, nested=nested, follow_links=follow_links, quiet=quiet)
    choice = ChooseOptions(
        as_recipe(recipe), several(strategy), kind, balanced, nested, permute_labels
    )
    check_options(choice)
    reporter = Reporter(quiet)
    request = Request.of(
        taps,
        pool,
        store,
        engine=engine,
        precision=precision,
        n_workers=n_workers,
        max_bad=max_bad,
        seed=seed,
        storage=storage,
        follow_links=follow_links,
    )
    if is_stored(data):
        given: dict[str, object] = {
            "backbones": backbones,
            "labels": labels,
            "groups": groups,
            "splits": splits,
        }
        given |= request.changed() | columns
        _refuse_idle([name for name, value in given.items() if value is not None])
        return rank(stored_features(data, data_set, quiet), reporter, choice)
    if data_set is not None:
        raise UsageError(
            f"There are no stored features in {_shown(data)}.",
            f"{option('data_set')} names one of the data sets of a feature store.",
            "The path of a feature store.",
            f"Leave out {option('data_set')}",
        )
    named = Columns.of("choose", columns)
    found = [load(each) for each in _backbones(backbones, data, named)]
    dataset = read_dataset(
        data, labels, groups, splits, follow_links=follow_links, kind=found[0].kind, columns=named
    )
    for warning in dataset.warnings:
        reporter.say(f"Warning: {warning}")
    ranking = choose_backbones(dataset, found, request, choice, reporter)
    return ranking if backbones is not None else ranking.entries[0].ranking


def _backbones(
    given: Sequence[str | Backbone] | None, data: Any, columns: Columns
) -> Sequence[str | Backbone]:
    if given is None:
        return [default_backbone(data, columns)]
    if isinstance(given, (str, Backbone)) or not given:
        raise UsageError(
            f"backbones is {shown(given)}, which is no list of backbones.",
            "Several are compared, or one stands alone in a list.",
            "Names or backbones in a list.",
            f"Type, for example:  backbones=[{defaults_of('image').backbone!r}]",
        )
    return given


def is_stored(data: Any) -> bool:
    """Say whether `data` is stored features, or the path of a feature store."""
    if isinstance(data, Features):
        return True
    return isinstance(data, (str, os.PathLike)) and FeatureStore(Path(data)).exists()


def _refuse_idle(given: list[str]) -> None:
    """Raise `UsageError` naming the options given that stored features can't follow."""
    if given:
        raise UsageError(
            f"{options(*given)} can't be followed beside stored features.",
            "They were computed before, with options of their own.",
            "The data in their place, or the features alone.",
            f"Leave out {options(*given)}",
        )


def stored_features(given: Any, data_set: str | None = None, quiet: bool = False) -> Features:
    """Return stored features; of a store one data set, and say which, where there are several."""
    if isinstance(given, Features):
        if data_set is not None:
            raise UsageError(
                f'data_set="{data_set}" goes with the path of a feature store, not with features.',
                f'They are those of "{given.name}".',
                "The path of a feature store, or features alone.",
                "Type, for example:  cutpoint.choose(features)",
            )
        return given
    store = FeatureStore(as_path("features", given))
    taken = store.data_set(data_set)
    features, told = store.open(taken.view), store.told(taken)
    if told and data_set is None:
        Reporter(quiet).say(f"{told} Take another with:  {option('data_set', 'NAME')}")
    return features


def fit(
    data: Any,
    output: str | os.PathLike[str] | None = None,
    backbone: str | Backbone | None = None,
    taps: Sequence[str | int] | str = AUTO,
    pool: str | Sequence[str] = DEFAULT_POOLS,
    store: str | os.PathLike[str] | None = None,
    recipe: str | Recipe = "",
    strategy: str | Sequence[str] = ("single", "fused"),
    head: str | Head | Sequence[str | Head] | None = None,
    protocol: str = "",
    kind: str = AUTO_KIND,
    *,
    unlabelled: Any = None,
    labels: Column | None = None,
    groups: Column | None = None,
    splits: Column | None = None,
    engine: str = "auto",
    precision: str = "fp32",
    n_workers: int | None = None,
    max_bad: float = 0.01,
    seed: int = 0,
    storage: str = AUTO,
    allow_group_overlap: bool = False,
    follow_links: bool = False,
    quiet: bool = False,
    **columns: Unpack[ColumnNames],
) -> Predictor:
    """Extract, choose on training rows, fit the head, touch the test split once.

    Parameters
    ----------
    output : path, optional
        Folder for the predictor, ``report.html``, ``splits.csv`` and ``bad_rows.csv``.
    recipe : str or Recipe, optional
        What happens between taps and head: ``"gem | l2 | concat | pca(64, whiten) | l2"``, or the
        name of a recipe, ``"classic"``. What it learns, it learns from training rows alone.
    head : str or Head, or a sequence of them, optional
        What is fitted on the chosen features: ``"ridge"``, ``"knn(k=20)"``; ``docs/heads.md``
        has all. By default what the kind of item has for so many classes and rows: ridge, and
        logistic for texts of many classes or few rows. Several, or ``"auto"``, are compared on
        rows left out. The choice of layer and pooling rests on ridge whatever the head.
    protocol : str, optional
        In place of a head, a published way to choose and fit one: ``"dinov2-45"``.
    kind : {"auto", "classes", "labels", "values"}
        As in `choose`.
    unlabelled : as `data`, optional
        More items, without labels: kept in the same store and counted, used for nothing yet.
    strategy : str or sequence of str
        As in `choose`.
    allow_group_overlap : bool
        Go on though a group is in two splits.
    data, backbone, taps, pool, store, labels, groups, splits, engine, precision, n_workers, \
max_bad, seed, storage, follow_links, quiet, **columns
        As in `extract`.

    Returns
    -------
    predictor : Predictor
        ``predictor.card.evaluation`` holds the test score.

    Raises
    ------
    DataError
        If the data can't be scored honestly: one class, groups or class sets that differ between
        splits. Raised before anything is computed.

    Notes
    -----
    Items without a label are kept in the store and counted; nothing is learned from them.
    """
    check_flags(allow_group_overlap=allow_group_overlap, follow_links=follow_links, quiet=quiet)
    request = Request.of(
        taps,
        pool,
        store,
        engine=engine,
        precision=precision,
        n_workers=n_workers,
        max_bad=max_bad,
        seed=seed,
        storage=storage,
        follow_links=follow_links,
    )
    options = FitOptions.of(
        request,
        recipe,
        strategy,
        head,
        protocol,
        kind,
        allow_group_overlap=allow_group_overlap,
        unlabelled="" if unlabelled is None else _shown(unlabelled),
        columns=(named := Columns.of("fit", columns)),
        splits=os.fspath(splits) if isinstance(splits, str | os.PathLike) else "",
    )
    _refuse_labels(output)
    where = None if output is None else as_path("output", output)
    if where is not None:
        check_output(where)
    found = load(default_backbone(data, named) if backbone is None else backbone)
    reporter = Reporter(quiet)
    dataset = read_dataset(
        data, labels, groups, splits, follow_links=follow_links, kind=found.kind, columns=named
    )
    dataset = with_unlabelled(dataset, unlabelled, reporter.say, named)
    return run_fit(dataset, found, options, where, reporter).predictor


def finetune(
    data: Any,
    output: str | os.PathLike[str] | None = None,
    start: Predictor | str | os.PathLike[str] | None = None,
    unfreeze: str = "last:1",
    *,
    end: str | int | None = None,
    lr: str | float | Sequence[float] = "auto",
    epochs: int | None = None,
    views: int = 4,
    batch_size: int = 32,
    alphas: Sequence[float] = ALPHAS,
    weight_decay: float = 0.01,
    smoothing: float = 0.0,
    dropout: float = 0.0,
    pull: float = 0.0,
    lr_decay: float = 1.0,
    schedule: str = "",
    choose: bool = True,
    device: str = "auto",
    store: str | os.PathLike[str] | None = None,
    storage: str = AUTO,
    labels: Column | None = None,
    groups: Column | None = None,
    splits: Column | None = None,
    engine: str = "auto",
    n_workers: int | None = None,
    max_bad: float = 0.01,
    seed: int = 0,
    follow_links: bool = False,
    trust_weights: bool = False,
    quiet: bool = False,
    **columns: Unpack[ColumnNames],
) -> Predictor:
    """Train the last part of a frozen predictor's network, if rows left out say that it serves.

    What lies below the first trained layer is a constant, so its output is stored once, and only
    what lies above is trained, from there. Learning rate, epochs and how far to go from the start
    are chosen by rows left out of the training rows, the start itself among the candidates; of
    equals within one standard error the smallest change is taken. Test rows are read once, at the
    end.

    Parameters
    ----------
    data : as in `fit`
    output : path, optional
        Folder for the predictor and ``splits.csv``.
    start : Predictor, or the path of a saved one, optional
        What is tuned; `fit` makes one by default. Splits are drawn as for it.
    unfreeze : str
        ``"norm"`` (scales and shifts of normalisation layers in the last block; ``"norm:2"`` in
        the last two), ``"last:2"`` (blocks), ``"last:10layers"``, ``"from:NAME"`` or
        ``"from:-10"`` (from that layer on, as Keras' ``layers[-10:]``), ``"all"``, ``"lora(8)"``
        (projections of attention, by products of that rank; merged in the end).
    end : str or int, optional
        Cut here and tune below: features are read at this layer, averaged.
    lr : "auto", "find", float or several
        Rates that are tried; "find" raises one until the loss explodes and tries a tenth of the
        best and a third of that.
    epochs : int, optional
        At most; 10 up to 100 rows, 6 up to 400, else 4.
    views : {1, 2, 4, 8}
        Each photo as it is, its mirror image, and random crops.
    alphas : sequence of float, 0–1
        Ways from the start to the end of training that are judged.
    weight_decay, smoothing, dropout, pull : float
        For tensors with two axes; labels; what the head sees; towards the start.
    lr_decay : float, 0–1
        Each block's learning rate over that of the block above it.
    schedule : {"", "gradual"}
        ``"gradual"``: in each epoch one block more is trained, from the top down.
    choose : bool
        Whether rows left out decide. If not, the one rate is followed to the last epoch, and as
        far as the one of `alphas` says.
    device : str
        ``"auto"``: a CUDA device if there is one; which it is, is said.
    storage : {"auto", "fp32", "fp16"}
        In which activations are kept; half precision by default.
    store, labels, groups, splits, engine, n_workers, max_bad, seed, follow_links, quiet, **columns
        As in `fit`.
    trust_weights : bool
        As in `load`, for the start's backbone.

    Returns
    -------
    predictor : Predictor
        ``predictor.history`` has losses, gradients and changes; ``predictor.backbone`` is a
        backbone of its own. The start itself, where no change is shown to serve.

    Raises
    ------
    CutNotSeparable
        If the network can't be cut in two where training needs it.
    UsageError
        If the network can't be trained: an ONNX graph, a frozen graph.
    LeakageError
        If the start has learned from rows that are held out here.
    """
    request = Request.of(
        store=store,
        engine=engine,
        n_workers=n_workers,
        max_bad=max_bad,
        seed=seed,
        storage=storage,
        follow_links=follow_links,
    )
    options = FinetuneOptions(
        unfreeze=parse_unfreeze(unfreeze),
        request=request,
        end=end,
        lr=lr if isinstance(lr, str | int | float) else tuple(lr),
        epochs=epochs,
        views=views,
        batch_size=batch_size,
        alphas=tuple(alphas),
        weight_decay=weight_decay,
        smoothing=smoothing,
        dropout=dropout,
        pull=pull,
        lr_decay=lr_decay,
        schedule=schedule,
        choose=choose,
        device=device,
    )
    where = None if output is None else as_path("output", output)
    named = Columns.of("finetune", columns)
    begun = start
    if begun is None:
        begun = fit(
            data,
            store=store,
            labels=labels,
            groups=groups,
            splits=splits,
            engine=engine,
            n_workers=n_workers,
            max_bad=max_bad,
            seed=seed,
            follow_links=follow_links,
            quiet=quiet,
            **columns,
        )
    predictor = _predictor(begun, trust_weights)
    kind = predictor.backbone.kind
    dataset = read_dataset(
        data, labels, groups, splits, follow_links=follow_links, kind=kind, columns=named
    )
    return run_finetune(dataset, predictor, options, where, Reporter(quiet))[0]


def evaluate(
    model: Predictor | str | os.PathLike[str],
    data: Any,
    split: str | None = None,
    kind: str = AUTO_KIND,
    *,
    labels: Column | None = None,
    groups: Column | None = None,
    splits: Column | None = None,
    leave_out_trained: bool = False,
    follow_links: bool = False,
    trust_weights: bool = False,
    engine: str = "auto",
    report: str | os.PathLike[str] | None = None,
    quiet: bool = False,
    **columns: Unpack[DataColumns],
) -> Evaluation:
    """Score a predictor on labelled items.

    Parameters
    ----------
    model : Predictor, or the path of a saved one
    data : as in `extract`
    split : {"test", "val", "train", "all"}, optional
        By default the test split that the data brings (val, if it has none); or, if it brings no
        splits, all of it but what the predictor learned from. If "test", "val" or "train" is named
        and the data brings no splits, those that `fit` drew are drawn again.
    kind : {"auto", "classes", "labels", "values"}
        What labels are, to be sure that the predictor tells that.
    labels, groups, splits, follow_links, **columns
        As in `extract`; groups matter where the splits are drawn again. The column of splits is
        named by ``split_column``.
    leave_out_trained : bool
        Leave items out that the predictor learned from, instead of refusing.
    trust_weights : bool
        As in `load`, for the predictor's backbone.
    report : path, optional
        Where to write an HTML report.

    Raises
    ------
    LeakageError
        If items were trained on, and `split` is not ``"train"``.
    DataError
        If there are labels the predictor does not know, or none at all.
    """
    check_flags(
        leave_out_trained=leave_out_trained,
        follow_links=follow_links,
        trust_weights=trust_weights,
        quiet=quiet,
    )
    check_engine(engine)
    check_kind(kind)
    named = Columns.of("evaluate", columns, DataColumns)
    if split is not None:
        check_split(split, leave_out_trained)
    page = None if report is None else as_path("report", report)
    if page is not None:
        require_report(page, "The HTML report")
    predictor = _predictor(model, trust_weights)
    if page is not None:
        _refuse_unranked(predictor)
    _refuse_other_target(predictor, kind)
    dataset = read_dataset(
        data,
        labels,
        groups,
        splits,
        follow_links=follow_links,
        kind=predictor.backbone.kind,
        columns=replace(named, dev=APART),
    )
    reporter = Reporter(quiet)
    for warning in dataset.warnings:
        reporter.say(f"Warning: {warning}")
    if line := unlabelled_line(dataset, "not scored"):
        reporter.say(line)
    dataset = without_unlabelled_splits(dataset)
    splits_from = "data" if has_splits(dataset) else "none"
    if split is None:
        split = _default_split(dataset)
        leave_out_trained = leave_out_trained or splits_from == "none"
    if split != "all":
        splits_from = "data" if has_splits(dataset) else "drawn"
        dataset = assign_splits(dataset, predictor.seed, predictor.target)
    evaluation = evaluate_predictor(
        predictor, dataset, split, leave_out_trained, reporter, engine, splits_from
    )
    if page is not None:
        words = ["cutpoint", "evaluate", _shown(model), _shown(data), "--split", split]
        words += ["--leave-out-trained"] if leave_out_trained else []
        words += ["--follow-links"] if follow_links else []
        words += ["--trust-weights"] if trust_weights else []
        for word, value in named.said().items():
            words += [f"--{word.replace('_', '-')}", value]
        words += ["--splits", os.fspath(splits)] if isinstance(splits, str | os.PathLike) else []
        words += ["--engine", engine]
        command = shlex.join(words)
        inputs = ReportInputs(
            predictor, evaluation, dataset, command, dataset.warnings, evaluation.quarantined
        )
        write_report(inputs, page)
    return evaluation


def predict(
    model: Predictor | str | os.PathLike[str],
    data: Any,
    *,
    trust_weights: bool = False,
    engine: str = "auto",
    n_workers: int | None = None,
    quiet: bool = False,
    **columns: Unpack[ItemColumns],
) -> list[AnyPrediction]:
    """Return what is said of each item, in order; bad items say why.

    That is a class with its calibrated probability, labels with theirs, or a value with an
    interval, as the predictor was fitted.

    Parameters
    ----------
    model : Predictor, or the path of a saved one
    data : sequence of paths, bytes, arrays or texts; or a folder, a manifest or a file
        The rows of a manifest come back in their order. A file of texts has one per line.
    **columns : str
        How a manifest is read: ``text``, ``text_pair``, ``image``, ``path``, ``id``, ``encoding``.
    trust_weights : bool
        As in `load`, for the predictor's backbone.
    """
    check_flags(trust_weights=trust_weights, quiet=quiet)
    check_engine(engine)
    check_workers(n_workers)
    named = Columns.of("predict", columns, ItemColumns)
    predictor, reporter = _predictor(model, trust_weights), Reporter(quiet)
    kind = predictor.backbone.kind
    items = read_items(data, reporter.say, kind, named)
    described = Dataset(_shown(data), tuple(items), (), kind=kind)
    return predictor.predict(described, engine, n_workers, reporter)


def _refuse_labels(output: Any) -> None:
    """Raise `UsageError` if the labels stand where the folder does, as scikit-learn has them."""
    if hasattr(output, "shape") or isinstance(output, list | tuple):
        raise UsageError(
            f"output is {shown(output)}, which is no path.",
            "It is the folder that the predictor is written to.",
            "Labels beside their items, as one argument; or by name.",
            "Type, for example:  cp.fit((X, y))   or   cp.fit(X, labels=y)",
        )


def _default_split(dataset: Dataset) -> str:
    """Return what is scored if no split is named: what `fit` would hold out, or all."""
    splits = {item.split for item in dataset.items} - {None}
    return ("test" if "test" in splits or "val" not in splits else "val") if splits else "all"


def _refuse_unranked(predictor: Predictor) -> None:
    if predictor.card.ranking is None:
        raise UsageError(
            "No report can be made of this predictor.",
            "It doesn't say how it was chosen: `fit` writes that into its card.",
            "A predictor made by `fit`; or the scores without a report.",
            "Leave out report",
        )


def _refuse_other_target(predictor: Predictor, kind: str) -> None:
    if kind not in (AUTO_KIND, predictor.target):
        raise UsageError(
            f"The predictor tells {predictor.target}, and {option('kind', kind)} says otherwise.",
            "What labels are was settled when it was fitted.",
            f"Labels that are {predictor.target}, or a predictor fitted to {kind}.",
            f"Leave out {option('kind')}",
        )


def _predictor(model: Any, trust_weights: bool) -> Predictor:
    if not isinstance(model, Predictor):
        as_path("model", model)
        return load_predictor(model, trust_weights=trust_weights)
    if trust_weights:
        raise UsageError(
            "trust_weights goes with the path of a predictor, not with a loaded one.",
            "It says what may be loaded, and nothing is.",
            "The predictor alone, or its path.",
            "Leave out trust_weights",
        )
    return model


def _shown(given: Any) -> str:
    """Return a path as it is, anything else by its kind."""
    return str(given) if isinstance(given, (str, os.PathLike)) else f"<{type(given).__name__}>"

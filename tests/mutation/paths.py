"""Which tests belong to which source: the one place to edit when folders move."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = "src/cutpoint"
UNIT = "tests/unit"

# Tests of a whole folder, beside those of one file.
SWEEPS = {
    "choosing/scores": ("choosing/scores/test_published.py",),
    "heads": ("heads/test_conformance.py",),
    "pooling": ("pooling/test_pools.py",),
    "transforms": ("transforms/test_conformance.py", "transforms/test_properties.py"),
}
# scikit-learn's checks give rows, and these take maps.
NOT_SWEPT = {f"heads/{name}.py" for name in ("learned_pools", "pool_modules", "pool_training")}
# Sources whose tests have another name.
NAMED = {
    "choosing/advice.py": ("choosing/test_picking.py", "choosing/test_ranking.py"),
    "choosing/candidate.py": ("choosing/test_picking.py", "choosing/test_ranking.py"),
    "choosing/hindsight.py": ("choosing/test_strategies.py",),
    "choosing/judging.py": ("choosing/test_ranking.py", "choosing/test_strategies.py"),
    "choosing/maps.py": ("choosing/test_columns.py",),
    "choosing/picture.py": ("choosing/test_picking.py",),
    "choosing/prior.py": ("choosing/test_ranking.py", "choosing/test_picking.py"),
    "choosing/scores/ridge.py": ("choosing/scores/test_loo_ridge.py",),
    "choosing/ranking.py": ("choosing/test_picking.py",),
    "choosing/sets.py": ("choosing/test_strategies.py",),
    "choosing/speeds.py": ("choosing/test_backbones.py",),
    "engines/torch.py": ("engines/test_torch_engine.py",),
    "frameworks/torch/graph.py": ("frameworks/test_torch_nodes.py", "frameworks/test_torch_cut.py"),
    "frameworks/torch/reader.py": (
        "frameworks/test_torch_nodes.py",
        "frameworks/test_torch_layers.py",
    ),
    "frameworks/torch/ops.py": ("pooling/test_pools.py",),
    "gram/decompose.py": ("gram/test_ridge.py", "gram/test_path.py"),
    "gram/leave_out.py": ("gram/test_ridge.py", "gram/test_judge.py"),
    "heads/mlp.py": ("heads/test_svm_and_mlp.py",),
    "heads/pool_modules.py": ("heads/test_learned_pools.py",),
    "heads/pool_training.py": ("heads/test_learned_pools.py",),
    "heads/protocol_run.py": ("heads/test_protocols.py",),
    "heads/ridge.py": ("heads/test_ridge_head.py",),
    "heads/softmax_regression.py": ("heads/test_logistic.py",),
    "heads/svm.py": ("heads/test_svm_and_mlp.py",),
    "heads/trained.py": ("heads/test_learned_pools.py", "heads/test_svm_and_mlp.py"),
    "preprocess/arrays.py": ("data/test_arrays.py",),
    "preprocess/item.py": ("preprocess/test_image.py",),
    "preprocess/resize.py": ("preprocess/test_image.py", "preprocess/test_scaled.py"),
    "report/plots.py": ("report/test_page.py",),
    "runtimes/tensorflow.py": (
        "frameworks/test_tfgraph_cut.py",
        "frameworks/test_tfgraph_layers.py",
        "pooling/test_pools.py",
    ),
    "sources/files.py": ("sources/test_plugin.py", "sources/test_torch.py"),
    "sources/keras_topology.py": (
        "sources/test_keras_operations.py",
        "sources/test_tfjs.py",
    ),
    "sources/registry.py": ("sources/test_plugin.py", "sources/test_packaged.py"),
    "sources/tf_graphs.py": ("sources/test_savedmodel.py", "sources/test_tfjs_graph.py"),
    "stages.py": ("test_recipe.py",),
    "state.py": ("transforms/test_saving.py", "heads/test_conformance.py"),
    "store/catalog.py": (
        "store/test_data_sets.py",
        "store/test_faults.py",
        "store/test_features.py",
    ),
    "store/halves.py": ("store/test_store.py",),
    "store/shard.py": ("store/test_store.py", "store/test_features.py"),
    "store/verify.py": ("store/test_store.py", "store/test_faults.py", "store/test_data_sets.py"),
    "testing.py": ("test_backbone.py", "extraction/test_run.py"),
    "transforms/axes.py": ("transforms/test_reduce.py",),
    "transforms/base.py": (
        "transforms/test_fuse.py",
        "transforms/test_limits.py",
        "transforms/test_normalise.py",
    ),
    "transforms/layout.py": ("transforms/test_reduce.py",),
    "transforms/proximal.py": ("transforms/test_select.py",),
    "transforms/training.py": (
        "transforms/test_mix.py",
        "transforms/test_reduce.py",
        "transforms/test_select.py",
    ),
    "types.py": ("test_spec.py",),
}


def own_tests(module: str) -> tuple[str, ...]:
    """Return the test files of a source, from the root of the repository.

    They are ``tests/unit/<folder>/test_<file>.py``, or its like, and those named above; where there
    are none, all of the nearest folder that has tests.

    Parameters
    ----------
    module : str
        Path below the package, ``"gram/ridge.py"``.
    """
    folder = str(Path(module).parent)
    found = [*_of_the_same_name(module), *(f"{UNIT}/{name}" for name in NAMED.get(module, ()))]
    if not found:
        return _of_the_nearest_folder(module)
    sweeps = () if module in NOT_SWEPT else SWEEPS.get(folder, ())
    return tuple(dict.fromkeys([*found, *(f"{UNIT}/{name}" for name in sweeps)]))


def _of_the_same_name(module: str) -> list[str]:
    """Return ``gram/test_ridge.py``; of ``frameworks/torch/cut.py``, ``test_torch_cut.py``."""
    path = Path(module)
    folder, above = f"{UNIT}/{path.parent}", f"{UNIT}/{path.parent.parent}"
    patterns = (
        (folder, f"test_{path.stem}.py"),
        (above, f"test_{path.parent.name}_{path.stem}.py"),
        (above, f"test_{path.parent.name}.py"),
        (above, f"test_{path.parent.name}_*.py"),
        (folder, f"test_{path.stem.partition('_')[0]}.py"),  # of keras_files.py, test_keras.py
    )
    found = (_existing(*pattern) for pattern in patterns)
    return next((each for each in found if each), [])


def _of_the_nearest_folder(module: str) -> tuple[str, ...]:
    for folder in Path(module).parents:
        start = "tests/cli" if folder.parts[:1] == ("cli",) else f"{UNIT}/{folder}"
        found = _existing(start, "test_*.py")
        if found:
            return tuple(found)
    raise LookupError(f"no tests for {module}")


def _existing(folder: str, pattern: str) -> list[str]:
    return [str(path.relative_to(ROOT)) for path in sorted((ROOT / folder).glob(pattern))]

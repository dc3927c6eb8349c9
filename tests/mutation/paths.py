"""Which tests belong to which source: the one place to edit when folders move."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = "src/cutpoint"
UNIT = "tests/unit"

# Tests of a whole folder, beside those of one file.
SWEEPS = {
    "learning/transferability": ("learning/transferability/test_published.py",),
    "learning/heads": ("learning/heads/test_conformance.py",),
    "networks/pooling": ("networks/pooling/test_pools.py",),
    "learning/transforms": (
        "learning/transforms/test_conformance.py",
        "learning/transforms/test_properties.py",
    ),
}
# scikit-learn's checks give rows, and these take maps.
NOT_SWEPT = {
    f"learning/heads/{name}.py" for name in ("learned_pools", "pool_modules", "pool_training")
}
# Sources whose tests have another name.
NAMED = {
    "base/stages.py": ("learning/test_recipe.py",),
    "base/state.py": ("learning/transforms/test_saving.py", "learning/heads/test_conformance.py"),
    "base/types.py": ("base/test_spec.py",),
    "features/store/catalog.py": (
        "features/store/test_data_sets.py",
        "features/store/test_faults.py",
        "features/store/test_features.py",
    ),
    "features/store/half_precision.py": ("features/store/test_store.py",),
    "features/store/shard.py": ("features/store/test_store.py", "features/store/test_features.py"),
    "features/store/verify.py": (
        "features/store/test_store.py",
        "features/store/test_faults.py",
        "features/store/test_data_sets.py",
    ),
    "learning/choosing/advice.py": (
        "learning/choosing/test_picking.py",
        "learning/choosing/test_ranking.py",
    ),
    "learning/choosing/candidate.py": (
        "learning/choosing/test_picking.py",
        "learning/choosing/test_ranking.py",
    ),
    "learning/choosing/hindsight.py": ("learning/choosing/test_strategies.py",),
    "learning/choosing/judge_taps.py": ("learning/choosing/test_strategies.py",),
    "learning/choosing/maps.py": ("learning/choosing/test_head2toe.py",),
    "learning/choosing/picture.py": ("learning/choosing/test_picking.py",),
    "learning/choosing/prior.py": (
        "learning/choosing/test_ranking.py",
        "learning/choosing/test_picking.py",
    ),
    "learning/choosing/rank_taps.py": (
        "learning/choosing/test_ranking.py",
        "learning/choosing/test_strategies.py",
    ),
    "learning/choosing/ranking.py": ("learning/choosing/test_picking.py",),
    "learning/choosing/speeds.py": ("learning/choosing/test_backbones.py",),
    "learning/gram/decompose.py": ("learning/gram/test_ridge.py", "learning/gram/test_path.py"),
    "learning/gram/leave_out.py": ("learning/gram/test_ridge.py", "learning/gram/test_judge.py"),
    "learning/heads/classes.py": ("learning/heads/test_ridge_head.py",),
    "learning/heads/mlp.py": (
        "learning/heads/test_svm_and_mlp.py",
        "learning/heads/test_values.py",
    ),
    "learning/heads/pool_modules.py": ("learning/heads/test_learned_pools.py",),
    "learning/heads/pool_training.py": ("learning/heads/test_learned_pools.py",),
    "learning/heads/protocol_run.py": ("learning/heads/test_protocols.py",),
    "learning/heads/ridge.py": (
        "learning/heads/test_ridge_head.py",
        "learning/heads/test_values.py",
        "learning/heads/test_labels.py",
    ),
    "learning/heads/softmax_regression.py": ("learning/heads/test_logistic.py",),
    "learning/heads/svm.py": (
        "learning/heads/test_svm_and_mlp.py",
        "learning/heads/test_values.py",
    ),
    "learning/heads/trained.py": (
        "learning/heads/test_learned_pools.py",
        "learning/heads/test_svm_and_mlp.py",
    ),
    "learning/recipe/chain.py": ("learning/test_chain.py",),
    "learning/shared/folds.py": ("learning/test_folds.py",),
    "learning/shared/limits.py": (
        "learning/heads/test_limits.py",
        "learning/transforms/test_limits.py",
    ),
    "learning/shared/steps.py": ("learning/test_chain.py",),
    "items/kinds/array/read.py": ("items/kinds/array/test_prepare.py",),
    "items/kinds/image/graph.py": ("items/kinds/image/test_prepare.py",),
    "items/kinds/image/read.py": ("items/reading/test_arrays.py", "items/reading/test_items.py"),
    "items/kinds/image/recipes.py": ("items/kinds/test_stated.py",),
    "items/kinds/image/resize.py": (
        "items/kinds/image/test_prepare.py",
        "items/kinds/image/test_scaled.py",
    ),
    "learning/transferability/ridge.py": ("learning/transferability/test_loo_ridge.py",),
    "learning/transforms/axes.py": ("learning/transforms/test_reduce.py",),
    "learning/transforms/base.py": (
        "learning/transforms/test_fuse.py",
        "learning/transforms/test_limits.py",
        "learning/transforms/test_normalise.py",
    ),
    "learning/transforms/layout.py": ("learning/transforms/test_reduce.py",),
    "learning/transforms/proximal.py": ("learning/transforms/test_select.py",),
    "learning/transforms/training.py": (
        "learning/transforms/test_mix.py",
        "learning/transforms/test_reduce.py",
        "learning/transforms/test_select.py",
    ),
    "networks/engines/torch.py": ("networks/engines/test_torch_engine.py",),
    "networks/frameworks/torch/graph.py": (
        "networks/frameworks/test_torch_nodes.py",
        "networks/frameworks/test_torch_cut.py",
    ),
    "networks/frameworks/torch/ops.py": ("networks/pooling/test_pools.py",),
    "networks/frameworks/torch/reader.py": (
        "networks/frameworks/test_torch_nodes.py",
        "networks/frameworks/test_torch_layers.py",
    ),
    "networks/runtimes/tensorflow.py": (
        "networks/frameworks/test_tfgraph_cut.py",
        "networks/frameworks/test_tfgraph_layers.py",
        "networks/pooling/test_pools.py",
    ),
    "items/kinds/image/show.py": ("products/report/test_page.py",),
    "items/kinds/plain.py": ("items/kinds/test_plugin_kind.py",),
    "items/kinds/registry.py": ("items/kinds/test_plugin_kind.py",),
    "networks/constants.py": ("networks/test_several_inputs.py",),
    "networks/frameworks/inputs.py": ("networks/test_several_inputs.py",),
    "networks/sources/files.py": (
        "networks/sources/test_plugin.py",
        "networks/sources/test_torch.py",
    ),
    "networks/sources/keras_topology.py": (
        "networks/sources/test_keras_operations.py",
        "networks/sources/test_tfjs.py",
    ),
    "networks/sources/registry.py": (
        "networks/sources/test_plugin.py",
        "networks/sources/test_packaged.py",
    ),
    "networks/sources/tf_graphs.py": (
        "networks/sources/test_savedmodel.py",
        "networks/sources/test_tfjs_graph.py",
    ),
    "products/report/plots.py": ("products/report/test_page.py",),
    "testing.py": ("networks/test_backbone.py", "features/extraction/test_run.py"),
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

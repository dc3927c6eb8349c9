"""``hf:google/vit-base-patch16-224``: transformers' networks, from the hub or a local folder."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cutpoint.base.errors import ModalityError, WeightsError
from cutpoint.base.spec import ArraySpec, BackboneSpec, Preprocess
from cutpoint.base.tongue import option
from cutpoint.items.kinds import stated_preprocess
from cutpoint.networks.backbone import Backbone, LoadOptions
from cutpoint.networks.sources.files import files_sha256, inside
from cutpoint.networks.sources.hf_images import image_preprocess
from cutpoint.networks.sources.torch_weights import (
    import_torchvision_based,
    refuse_nan,
    torch_framework,
    trained_side,
)

N_TOKENS = 128
"""Tokens of one item where none are stated, as far as the network takes so many."""

_WEIGHTS = "model.safetensors"
_POOLER = ("pooler.dense.weight", "pooler.dense.bias")
_INDEX = "model.safetensors.index.json"


def load(name: str, options: LoadOptions) -> Backbone:
    """Return the network `AutoModel` makes of a hub name, or of a folder with its files.

    Weights are read from safetensors alone. Images are prepared as ``preprocessor_config.json``
    says; networks of text take arrays of token ids (int64). Those equal to the configuration's
    ``pad_token_id`` are neither attended to nor averaged; without one all are.

    Raises
    ------
    WeightsError
        If weights are absent, broken or incomplete, or need code of their own and are not trusted.
    UsageError
        If the images' preparation is unknown, or is none that `PreprocessSpec` can say.
    """
    is_folder = Path(name).expanduser().is_dir()
    place = str(Path(name).expanduser().resolve()) if is_folder else name
    transformers = _import_transformers(name)
    with _quiet(transformers):
        files = _files(transformers, place, is_folder)
        network = _network(transformers, place, is_folder, options.trust_weights)
        known = options.preprocess or _known_preprocess(transformers, network, place, is_folder)
    refuse_nan(network, f"hf:{name}")
    side_px = trained_side(network)
    shape = (side_px, side_px, 3) if known is None and side_px else None
    preprocess = stated_preprocess(
        known, f"hf:{name}", shape, side_px=side_px, only_lists=options.only_lists
    )
    sha256 = files_sha256(files, files[0].parent)
    own_name = Path(place).name if is_folder else name
    spec = BackboneSpec("hf", own_name, preprocess.kind, sha256, preprocess)
    return Backbone(spec, lambda: network, torch_framework, f"hf:{place}")


def _import_transformers(name: str) -> Any:
    # transformers imports torchvision if it is there, which may need its shim.
    if importlib.util.find_spec("torchvision") is not None:
        import_torchvision_based("torchvision", f"hf:{name}", "hf")
    return import_torchvision_based("transformers", f"hf:{name}", "hf")


def _files(transformers: Any, place: str, is_folder: bool) -> list[Path]:
    """Return ``config.json`` and the files with weights: together they decide the numbers."""
    found = [_file(transformers, place, is_folder, "config.json")]
    try:
        weights = [_file(transformers, place, is_folder, _WEIGHTS)]
    except WeightsError:
        index = _file(transformers, place, is_folder, _INDEX)
        weights = [_file(transformers, place, is_folder, each) for each in _shards(index, place)]
    return found + weights


def _shards(index: Path, place: str) -> list[str]:
    """Return the names of the files that an index says hold the weights."""
    try:
        names = sorted(set(json.loads(index.read_text())["weight_map"].values()))
        if not names or not all(isinstance(name, str) for name in names):
            raise TypeError("its weight_map names no files")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise WeightsError(
            f"Backbone \"hf:{place}\" can't be loaded: its {_INDEX} can't be read.",
            f"It raised {type(error).__name__}: {error}",
            "JSON whose weight_map says which file holds each weight.",
            f"Look at it with:  cat {index}",
        ) from error
    return names


def _file(transformers: Any, place: str, is_folder: bool, file: str) -> Path:
    if is_folder:
        return inside(Path(place), file, f'The network "hf:{place}"')
    try:
        return Path(transformers.utils.cached_file(place, file))
    except OSError as error:
        raise _cannot_load(place, error) from error


def _network(transformers: Any, place: str, is_folder: bool, is_trusted: bool) -> Any:
    """Return the network, every weight of which is in the files."""
    network, absent = _from_pretrained(transformers, place, is_folder, is_trusted)
    if absent and all(key in _POOLER for key in absent):
        # Checkpoints of classifiers lack the pooler, which nothing else needs: leave it out.
        network, absent = _from_pretrained(
            transformers, place, is_folder, is_trusted, add_pooling_layer=False
        )
    if absent:
        raise WeightsError(
            f'Backbone "hf:{place}" lacks {len(absent)} weights.',
            f"Its files have no {', '.join(absent[:5])}" + (" …." if len(absent) > 5 else "."),
            "All weights of the network: missing ones would be random, and features with them.",
            f"Look at the whole report with:  AutoModel.from_pretrained({place!r}, "
            "output_loading_info=True)",
        )
    return network


def _from_pretrained(
    transformers: Any, place: str, is_folder: bool, is_trusted: bool, **how: Any
) -> tuple[Any, list[str]]:
    """Return the network, and which of its weights the files lack or have in another shape."""
    import torch

    try:
        network, report = transformers.AutoModel.from_pretrained(
            place,
            local_files_only=is_folder,
            trust_remote_code=is_trusted,
            use_safetensors=True,
            ignore_mismatched_sizes=True,  # told below, with both shapes
            output_loading_info=True,
            dtype=torch.float32,  # half precision overflows, and is slow on processors
            **how,
        )
    except Exception as error:  # whatever the hub client, a configuration or a file meets
        raise _cannot_load(place, error) from error
    # Whoever looks at all attributes, as converters do, would else make transformers guess one and
    # remark on it.
    network.loss_function = None
    wrong = [
        f"{key} ({list(found)} for {list(wanted)})"
        for key, found, wanted in report["mismatched_keys"]
    ]
    return network.eval(), sorted(report["missing_keys"]) + sorted(wrong) + report["error_msgs"]


def _known_preprocess(
    transformers: Any, network: Any, place: str, is_folder: bool
) -> Preprocess | None:
    """Return what the network's files say of its input."""
    if network.main_input_name == "input_ids":
        longest = getattr(network.config, "max_position_embeddings", N_TOKENS)
        return ArraySpec((min(N_TOKENS, longest),), "int64", network.config.pad_token_id)
    if network.main_input_name != "pixel_values":
        raise ModalityError(
            f'Backbone "hf:{place}" reads neither images nor token ids.',
            f'It reads "{network.main_input_name}".',
            "Networks of images (pixel_values) or token ids (input_ids).",
            'State how its arrays look:  cp.load("hf:…", preprocess=ArraySpec(shape, "float32"))',
        )
    try:
        processor = transformers.AutoImageProcessor.from_pretrained(
            place, local_files_only=is_folder, trust_remote_code=False
        )
    except Exception:  # no file, or of a kind transformers does not know
        return None  # so it must be stated
    return image_preprocess(processor, f"hf:{place}")


@contextmanager
def _quiet(transformers: Any) -> Iterator[None]:
    """Silence transformers' bars and reports; what matters in them is raised."""
    logging = transformers.utils.logging
    verbosity, has_bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        logging.set_verbosity(verbosity)
        if has_bars:
            logging.enable_progress_bar()


def _cannot_load(place: str, error: Exception) -> WeightsError:
    return WeightsError(
        f'Backbone "hf:{place}" can\'t be loaded.',
        f"transformers says: {' '.join(str(error).split())[:400]}",
        "config.json and model.safetensors, in a folder or on the hub. Pickled weights "
        "(pytorch_model.bin) are not read; code that comes with weights runs only with "
        f"{option('trust_weights', True)}.",
        "Make safetensors of old weights with:  network.save_pretrained(folder)",
    )

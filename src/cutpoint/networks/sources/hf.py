"""``hf:google/vit-base-patch16-224``: transformers' networks, from the hub or a local folder."""

from __future__ import annotations

from typing import Any

from cutpoint.base.errors import ModalityError
from cutpoint.base.spec import ArraySpec, BackboneSpec
from cutpoint.items.kinds import stated_preprocess
from cutpoint.networks.backbone import Backbone, LoadOptions
from cutpoint.networks.sources.files import files_sha256
from cutpoint.networks.sources.hf_images import image_preprocess
from cutpoint.networks.sources.hf_networks import (
    Place,
    files_of,
    import_transformers,
    network_of,
    quiet,
)
from cutpoint.networks.sources.hf_texts import stated_text, text_preprocess
from cutpoint.networks.sources.torch_weights import refuse_nan, torch_framework, trained_side

N_TOKENS = 128
"""Tokens of one item where none are stated, as far as the network takes so many."""


def load(name: str, options: LoadOptions) -> Backbone:
    """Return the network `AutoModel` makes of a hub name, or of a folder with its files.

    Weights are read from safetensors alone. Images are prepared as ``preprocessor_config.json``
    says, texts as ``tokenizer.json`` does; without that file, networks of text take arrays of
    token ids (int64). Those equal to the configuration's ``pad_token_id`` are neither attended to
    nor averaged; without one all are.

    Raises
    ------
    WeightsError
        If weights are absent, broken or incomplete, or need code of their own and are not trusted.
    UsageError
        If the images' preparation is unknown, or is none that `PreprocessSpec` can say.
    """
    place = Place.of("hf", name)
    transformers = import_transformers(f"hf:{name}")
    with quiet(transformers):
        files = files_of(transformers, place)
        network = network_of(transformers, place, options.trust_weights)
        known = _known_preprocess(transformers, network, place, options)
    refuse_nan(network, place.id)
    side_px = trained_side(network)
    shape = (side_px, side_px, 3) if known is None and side_px else None
    preprocess = stated_preprocess(
        known, f"hf:{name}", shape, side_px=side_px, only_lists=options.only_lists
    )
    sha256 = files_sha256(files, files[0].parent)
    spec = BackboneSpec("hf", place.own_name, preprocess.kind, sha256, preprocess)
    return Backbone(spec, lambda: network, torch_framework, place.id)


def _known_preprocess(transformers: Any, network: Any, place: Place, options: LoadOptions) -> Any:
    """Return what was stated, or else what the network's files say of its input."""
    if network.main_input_name == "input_ids":
        return _of_text(transformers, network, place, options)
    if options.preprocess is not None:
        return options.preprocess
    if network.main_input_name != "pixel_values":
        raise ModalityError(
            f'Backbone "{place.id}" reads neither images nor token ids.',
            f'It reads "{network.main_input_name}".',
            "Networks of images (pixel_values) or token ids (input_ids).",
            'State how its arrays look:  cp.load("hf:…", preprocess=ArraySpec(shape, "float32"))',
        )
    try:
        processor = transformers.AutoImageProcessor.from_pretrained(
            place.name, local_files_only=place.is_folder, trust_remote_code=False
        )
    except Exception:  # no file, or of a kind transformers does not know
        return None  # so it must be stated
    return image_preprocess(processor, place.id)


def _of_text(transformers: Any, network: Any, place: Place, options: LoadOptions) -> Any:
    known = text_preprocess(transformers, network, place, options.reading)
    if known is not None and not isinstance(options.preprocess, ArraySpec):
        return stated_text(options.preprocess, known, place.id)
    if options.preprocess is not None:
        return options.preprocess
    longest = getattr(network.config, "max_position_embeddings", N_TOKENS)
    return ArraySpec((min(N_TOKENS, longest),), "int64", network.config.pad_token_id)

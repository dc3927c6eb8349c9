"""Turn a torch cut into what the engines run."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn

from cutpoint.base.types import InputSpec
from cutpoint.networks.frameworks.inputs import FREE
from cutpoint.networks.frameworks.torch.convolutions import take_onednn, turn_channels_last
from cutpoint.networks.frameworks.torch.fusion import fuse, pairs
from cutpoint.networks.frameworks.torch.modules import clone_tree
from cutpoint.networks.runtimes.openvino import import_openvino

Inputs = Mapping[str, InputSpec]


def to_openvino(module: nn.Module, inputs: Inputs) -> Any:
    """Return the cut as an ``openvino.Model``: its inputs in their order, any batch size.

    The module is traced, so what a hook reads is an output of the graph and what no tap needs
    never enters it. Space is fixed where the inputs' is. OpenVINO's front end is called
    directly, as `openvino.convert_model` would first report to its makers over the network.
    """
    import_openvino()
    from openvino.frontend import FrontEndManager
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder

    example = tuple(_blank(each, 2) for each in inputs.values())
    with warnings.catch_warnings(), torch.inference_mode():
        # Python values that decide shapes are constants here on purpose: space is fixed.
        warnings.simplefilter("ignore")
        # Tracing again to compare takes as long as tracing; the parity gate compares, on photos.
        traced = TorchScriptPythonDecoder(
            module, example_input=example, trace_kwargs={"check_trace": False}
        )
        front_end = FrontEndManager().load_by_framework("pytorch")
        model = front_end.convert(front_end.load(traced))
    shapes = ([-1, *(size or -1 for size in each.shape)] for each in inputs.values())
    model.reshape(dict(zip(model.inputs, shapes, strict=True)))
    return model


def _blank(each: InputSpec, n_items: int) -> torch.Tensor:
    dtype = getattr(torch, each.dtype)
    return torch.full((n_items, *each.sized(FREE)), bool(each.mask_of), dtype=dtype)


def to_torch(module: nn.Module, inputs: Inputs) -> nn.Module:
    """Return the module with norms folded into convolutions, whose weights lie channels last.

    It has its own copy of the module tree and of the convolutions' weights; the rest is shared.
    """
    fused = clone_tree(module)
    item = [_blank(each, 1) for each in inputs.values()]
    for pair in pairs(fused, item):
        fuse(pair)
    turn_channels_last(fused)
    take_onednn(fused)
    return fused


CONVERTERS: dict[str, Callable[[nn.Module, Inputs], Any]] = {
    "openvino": to_openvino,
    "torch": to_torch,
}

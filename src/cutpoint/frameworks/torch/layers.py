"""List the layers of an ``nn.Module`` by running it once."""

from __future__ import annotations

from collections import Counter
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from cutpoint.frameworks.torch.inputs import example_input
from cutpoint.layer_table import Layer, LayerTable
from cutpoint.spec import Preprocess

# What does nothing in inference mode, by definition.
_INACTIVE = (nn.Identity, nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout)


class _Call:
    """What one call of one module showed."""

    def __init__(self, name: str, module: nn.Module, output: Any, macs: int) -> None:
        self.name, self.module, self.macs = name, module, macs
        self.is_tensor = isinstance(output, torch.Tensor)
        self.shape = tuple(output.shape) if self.is_tensor else ()


def list_layers(network: Any, preprocess: Preprocess, name: str = "") -> LayerTable:
    """Return all layers in the order in which they finish.

    Parameters
    ----------
    network : nn.Module
    preprocess : PreprocessSpec or ArraySpec
        Says what one item looks like.
    name : str
        How the backbone is called in messages.

    Notes
    -----
    Modules that hand their input on untouched (``Identity``, inactive dropout) are left out.
    A module that is called more than once, or whose output is not one tensor, is no tap.
    MACs come from torch's own `FlopCounterMode` (matrix products and convolutions), halved.
    """
    calls = _record_calls(network, example_input(preprocess))
    times = Counter(call.name for call in calls)
    side = preprocess.array_shape[0]
    rows = (_layer(index, call, times[call.name] == 1, side) for index, call in enumerate(calls))
    return LayerTable(name, tuple(rows))


def _record_calls(network: nn.Module, item: torch.Tensor) -> list[_Call]:
    calls: list[_Call] = []
    counter = FlopCounterMode(display=False)

    def hook_for(name: str) -> Any:
        def note(module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
            if not _hands_on(module, inputs, output):
                calls.append(_Call(name, module, output, counter.get_total_flops() // 2))

        return note

    handles = [
        module.register_forward_hook(hook_for(name))
        for name, module in network.named_modules()
        if name
    ]
    modes = {module: module.training for module in network.modules()}
    network.eval()
    try:
        with counter, torch.inference_mode():
            network(item)
    finally:
        for handle in handles:
            handle.remove()
        for module, training in modes.items():
            module.training = training
    return calls


def _hands_on(module: nn.Module, inputs: tuple[Any, ...], output: Any) -> bool:
    """Say whether a module without layers of its own gave its input back unchanged."""
    if isinstance(module, _INACTIVE):
        return True
    if not (inputs and isinstance(output, torch.Tensor) and isinstance(inputs[0], torch.Tensor)):
        return False
    is_same = output.data_ptr() == inputs[0].data_ptr() and output.shape == inputs[0].shape
    # In-place activations also return the memory they were given, yet they change it.
    return is_same and not getattr(module, "inplace", False) and not list(module.children())


def _layer(index: int, call: _Call, called_once: bool, height: int) -> Layer:
    is_map = len(call.shape) == 4 and call.shape[2] > 1
    return Layer(
        index=index,
        name=call.name,
        kind=type(call.module).__name__,
        shape=(None, *call.shape[1:]),
        stride=round(height / call.shape[2]) if is_map else None,
        params=sum(parameter.numel() for parameter in call.module.parameters()),
        macs=call.macs,
        tappable=called_once and call.is_tensor,
        is_block=any(True for _ in call.module.children()),
        layout={4: "NCHW", 3: "NTC", 2: "NC"}.get(len(call.shape), ""),
    )

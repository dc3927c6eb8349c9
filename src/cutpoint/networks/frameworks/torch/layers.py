"""List the layers of an ``nn.Module`` by running it once, and its graph once if it has one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import fx, nn
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode, sdpa_flop_count

from cutpoint.base.errors import UsageError
from cutpoint.base.spec import Constants, Preprocess
from cutpoint.networks.frameworks.inputs import OTHER, free_shape, is_free
from cutpoint.networks.frameworks.torch.graph import Captured, capture
from cutpoint.networks.frameworks.torch.inputs import Calling, Given, cannot_take, random_input
from cutpoint.networks.frameworks.torch.layout import Sides, image_sides, layouts, stride_of
from cutpoint.networks.frameworks.torch.modules import first_tensor
from cutpoint.networks.layer_table import Layer, LayerTable, end_in_probabilities

# What does nothing in inference mode, by definition.
_INACTIVE = (nn.Identity, nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout)
_GRAPH_BATCH = 2  # at least 2, to see which outputs have a row for each item
_SAME = 1e-4  # relative; a wrong branch differs by far more, another order of sums by less


@dataclass(frozen=True)
class _Output:
    """What one call of a layer showed; `shape` is () if it gave no tensor."""

    name: str
    kind: str
    module: nn.Module | None
    shape: tuple[int, ...]
    has_items: bool
    macs: int


def list_layers(
    network: Any, preprocess: Preprocess, name: str = "", constants: Constants = ()
) -> LayerTable:
    """Return all layers in the order in which they finish.

    Parameters
    ----------
    network : nn.Module
    preprocess : PreprocessSpec, ArraySpec or another kind's
        Says what one item looks like.
    name : str
        How the backbone is called in messages.
    constants : Constants
        What its other arguments are given.

    Notes
    -----
    Where the network's graph can be captured, operations that are no module are layers too. The
    graph counts only if it gives what the network gives.
    What hands its input on untouched (``Identity``, inactive dropout) is left out. A module that
    is called more than once, without a graph to tell the calls apart, is no tap, and neither is
    what gives no tensor with one row an item. Of several tensors, the first is the layer's output.
    MACs come from torch's own `FlopCounterMode` (matrix products, convolutions, attention), halved.

    Raises
    ------
    UsageError
        If the network can't take what it is fed, or gives other numbers when it is fed them again.
    """
    batch = random_input(preprocess, _GRAPH_BATCH)
    item = {name: each[:1] for name, each in batch.items()}
    call = Calling(network, preprocess, constants)
    try:
        outputs, result = _module_outputs(network, call, item)
        with _in_inference_mode(network):
            again = call(network, item)
        others = _free_outputs(network, call, preprocess)
    except Exception as error:  # whatever the network's own code meets
        raise cannot_take(network, item, name, error) from error
    if not _is_repeated(again, result):
        raise _is_random(network, call, item, name)
    captured = capture(network) if call.is_plain and not others else None
    if captured is not None:
        outputs = _graph_outputs(captured, batch[next(iter(batch))], outputs, result) or outputs
    rows = _rows(outputs, image_sides(preprocess))
    if len(others) == len(rows):
        rows = tuple(_of_any_length(row, other) for row, other in zip(rows, others, strict=True))
    return LayerTable(name, tuple(end_in_probabilities(rows)))


def _of_any_length(row: Layer, other: _Output) -> Layer:
    """Return a layer whose free sizes are None; no tap, if two items give one row."""
    shape = (None, *free_shape(row.shape, (None, *other.shape[1:]))[1:])
    if not row.tappable or other.has_items:
        return replace(row, shape=shape)
    why = f"its output {'×'.join(map(str, other.shape))} has no row for each item"
    return replace(row, shape=shape, tappable=False, why_no_tap=why)


def _free_outputs(network: nn.Module, call: Calling, preprocess: Preprocess) -> list[_Output]:
    """Return the outputs for inputs of another size; none if no size is free."""
    if not is_free(preprocess):
        return []
    # Two items show what has no row for each; constants may be made for one.
    n_items = 1 if call.has_constants else _GRAPH_BATCH
    return _module_outputs(network, call, random_input(preprocess, n_items, OTHER))[0]


def _is_random(network: nn.Module, call: Calling, item: Given, name: str) -> UsageError:
    """Return the error for a network that never gives the same twice, and say where that begins."""
    first, second = _all_outputs(network, call, item), _all_outputs(network, call, item)
    pairs = zip(first, second, strict=False)
    differ = (layer for (layer, one), (_, two) in pairs if not _is_repeated(one, two))
    where = next(differ, "the last")
    return UsageError(
        f'"{name or type(network).__name__}" gives other numbers each time, from layer {where} on.',
        "The same input was fed twice, in inference mode.",
        "A network without chance or memory in inference mode: its features can't be kept "
        "otherwise.",
        "Look for, and write:  F.dropout(x, training=self.training)",
    )


def _all_outputs(network: nn.Module, call: Calling, item: Given) -> list[tuple[str, Any]]:
    """Return copies of what all calls of modules give, in order."""
    found: list[tuple[str, Any]] = []

    def hook_for(name: str) -> Any:
        def note(module: nn.Module, inputs: Any, output: Any) -> None:
            found.append((name, [tensor.clone() for tensor in _tensors(output)]))

        return note

    handles = [
        module.register_forward_hook(hook_for(f'"{name}"'))
        for name, module in network.named_modules()
        if name
    ]
    try:
        with _in_inference_mode(network):
            call(network, item)
    finally:
        for handle in handles:
            handle.remove()
    return found


def _rows(outputs: Sequence[_Output], sides: Sides | None) -> tuple[Layer, ...]:
    times = Counter(output.name for output in outputs)
    shapes = [output.shape if output.has_items else () for output in outputs]
    modules = [output.module for output in outputs]
    letters = layouts(list(zip(shapes, modules, strict=True)), sides)
    return tuple(
        Layer(
            index=index,
            name=output.name,
            kind=output.kind,
            shape=(None, *output.shape[1:]),
            stride=stride_of(output.shape, layout, sides),
            params=_count_parameters(output.module),
            macs=output.macs,
            tappable=not _why_no_tap(output, times[output.name]),
            why_no_tap=_why_no_tap(output, times[output.name]),
            is_block=output.module is not None and any(output.module.children()),
            layout=layout,
        )
        for index, (output, layout) in enumerate(zip(outputs, letters, strict=True))
    )


def _why_no_tap(output: _Output, n_calls: int) -> str:
    if not output.shape:
        return "it gives no tensor"
    if not output.has_items:
        return f"its output {'×'.join(map(str, output.shape))} has no row for each item"
    return "" if n_calls == 1 else f"it is called {n_calls} times, and no graph tells them apart"


def _count_parameters(module: nn.Module | None) -> int:
    return 0 if module is None else sum(parameter.numel() for parameter in module.parameters())


def _module_outputs(network: nn.Module, call: Calling, item: Given) -> tuple[list[_Output], Any]:
    """Return the outputs of all calls of modules, and of the network."""
    outputs: list[_Output] = []
    counter, n_items = _flop_counter(), len(next(iter(item.values())))

    def hook_for(name: str) -> Any:
        def note(module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
            if not _hands_on(module, inputs, output):
                macs = counter.get_total_flops() // 2
                outputs.append(_shown(name, type(module).__name__, module, output, n_items, macs))

        return note

    modules = [(name, module) for name, module in network.named_modules() if name]
    handles = [module.register_forward_hook(hook_for(name)) for name, module in modules]
    try:
        with _in_inference_mode(network), counter:
            result = call(network, item)
    finally:
        for handle in handles:
            handle.remove()
    return outputs, result


def _graph_outputs(
    captured: Captured, batch: torch.Tensor, modules: Sequence[_Output], result: Any
) -> list[_Output]:
    """Return the outputs of all steps of the graph; none if it does not give `result`.

    What lies in modules that the graph does not look into is taken from `modules`.
    """
    run = _GraphRun(captured, len(batch))
    try:
        with torch.no_grad(), run.counter:
            found = run.run(batch)
    except Exception:  # a branch that was settled the wrong way may meet anything
        return []
    if not _is_same(found, result):
        return []
    outputs: list[_Output] = []
    for step in captured.steps:
        if step.is_opaque:
            outputs += [each for each in modules if each.name.startswith(f"{step.path}.")]
        shown = run.shown[step.node]
        is_layer = bool(shown.shape) if step.module is None else True
        if is_layer and (step.is_block or step.node not in run.handed_on):
            macs = max(shown.macs, outputs[-1].macs if outputs else 0)
            outputs.append(
                replace(shown, name=step.name, kind=step.kind, module=step.module, macs=macs)
            )
    return outputs


class _GraphRun(fx.Interpreter):
    """Runs a graph and notes what each node gives."""

    def __init__(self, captured: Captured, n_items: int) -> None:
        super().__init__(captured.module())
        self._n_items = n_items
        self.counter = _flop_counter()
        self.shown: dict[fx.Node, _Output] = {}
        self.handed_on: set[fx.Node] = set()

    def run_node(self, n: fx.Node) -> Any:
        inputs, named = self.fetch_args_kwargs_from_env(n)
        output = super().run_node(n)
        macs = self.counter.get_total_flops() // (2 * self._n_items)
        self.shown[n] = _shown(n.name, n.op, None, output, self._n_items, macs)
        if n.op == "call_module":
            is_same = _hands_on(self.fetch_attr(str(n.target)), inputs, output)
        else:
            is_same = any(output is each for each in inputs) and not _is_in_place(n, named)
        if is_same:
            self.handed_on.add(n)
        return output


def _is_in_place(node: fx.Node, named: Mapping[str, Any]) -> bool:
    name = node.target if isinstance(node.target, str) else node.target.__name__
    is_operator = getattr(node.target, "__module__", "") == "_operator"
    return bool(named.get("inplace")) or name.endswith("_") or (is_operator and name[0] == "i")


def _shown(
    name: str, kind: str, module: nn.Module | None, output: Any, n_items: int, macs: int
) -> _Output:
    tensor = first_tensor(output)
    shape = () if tensor is None else tuple(tensor.shape)
    return _Output(name, kind, module, shape, shape[:1] == (n_items,), macs)


def _hands_on(module: nn.Module, inputs: Sequence[Any], output: Any) -> bool:
    """Say whether a module without layers of its own gave its input back unchanged."""
    if isinstance(module, _INACTIVE):
        return True
    if not (inputs and isinstance(output, torch.Tensor) and isinstance(inputs[0], torch.Tensor)):
        return False
    is_same = output.data_ptr() == inputs[0].data_ptr() and output.shape == inputs[0].shape
    # In-place activations also return the memory they were given, yet they change it.
    return is_same and not getattr(module, "inplace", False) and not list(module.children())


def _is_same(found: Any, expected: Any) -> bool:
    """Say whether the first item of `found` is the one item of `expected`."""
    pairs = list(zip(_tensors(found), _tensors(expected), strict=False))
    return bool(pairs) and all(
        ours.shape[1:] == theirs.shape[1:]
        and torch.allclose(ours[:1], theirs, _SAME, _SAME * float(theirs.abs().max()), True)
        for ours, theirs in pairs
    )


def _is_repeated(again: Any, before: Any) -> bool:
    """Say whether two passes of one input gave the same."""
    pairs = list(zip(_tensors(again), _tensors(before), strict=False))
    return all(one.shape == two.shape and _is_close(one, two) for one, two in pairs)


def _is_close(one: torch.Tensor, two: torch.Tensor) -> bool:
    if not two.is_floating_point() or not two.numel():
        return torch.equal(one, two)
    return torch.allclose(one, two, _SAME, _SAME * float(two.abs().max()), True)


def _tensors(output: Any) -> list[torch.Tensor]:
    return [leaf for leaf in tree_leaves(output) if isinstance(leaf, torch.Tensor)]


@contextmanager
def _in_inference_mode(network: nn.Module) -> Iterator[None]:
    modes = {module: module.training for module in network.modules()}
    network.eval()
    try:
        # The counter of operations sees parametrised weights in no other mode.
        with torch.no_grad():
            yield
    finally:
        for module, training in modes.items():
            module.training = training


def _flop_counter() -> FlopCounterMode:
    """Return torch's counter, taught the CPU's attention kernel, which it leaves out."""
    kernel = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
    return FlopCounterMode(display=False, custom_mapping={kernel: _attention_flops})


def _attention_flops(
    query: torch.Size, key: torch.Size, value: torch.Size, *args: Any, **named: Any
) -> int:
    count: Any = sdpa_flop_count  # torch publishes no types for it
    return int(count(query, key, value))

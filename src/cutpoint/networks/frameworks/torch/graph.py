"""Capture the graph of a network, so that what is no module can be named and read too.

Names are those of torchvision's feature extraction (``layer4.1.relu_1``, ``layer4.1.add``,
``flatten``). Its tracer is not used, as it forgets where modules end and is not always installed.
"""

from __future__ import annotations

import math
import re
import sys
import threading
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from torch import fx, nn

from cutpoint.networks.frameworks.torch.modules import clone_tree

_ROOT = "network"
_one_at_a_time = threading.Lock()  # fx patches `nn.Module` itself while it traces


@dataclass(frozen=True)
class Step:
    """One operation, or the end of a module that is made of operations.

    Attributes
    ----------
    name : str
        The path of a module that is called once, else torchvision's name of the operation.
    path : str
        Kind of the module itself, or of the one around an operation that is none.
    node : fx.Node
        Whose value is the output.
    module : nn.Module or None
        None for operations that are no module.
    is_block : bool
        Whether the step is the end of a module whose operations are steps too.
    last : fx.Node or None
        The last one in a block: it may be an in-place operation, whose own result is dropped.
    """

    name: str
    path: str
    node: fx.Node
    module: nn.Module | None
    is_block: bool = False
    last: fx.Node | None = None

    @property
    def kind(self) -> str:
        if self.module is not None:
            return type(self.module).__name__
        target = self.node.target
        return target if isinstance(target, str) else getattr(target, "__name__", str(target))

    @property
    def end(self) -> fx.Node:
        """The node after which the output is what others get to see."""
        return self.last or self.node

    @property
    def is_opaque(self) -> bool:
        """Whether the step is a module that the graph does not look into."""
        return self.module is not None and not self.is_block


@dataclass(frozen=True)
class Captured:
    """A graph and its steps in the order of execution."""

    root: nn.Module
    graph: fx.Graph
    steps: tuple[Step, ...]

    def module(self) -> fx.GraphModule:
        """Return what runs the graph."""
        return fx.GraphModule(self.root, self.graph)


def capture(network: nn.Module) -> Captured | None:
    """Return the graph of `network` in inference mode; None if Python decides what it computes.

    The graph stands on a copy of the module tree, which shares the weights.
    """
    root = _OneInput(clone_tree(network).eval())
    tracer = _StepTracer()
    try:
        with _one_at_a_time, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # remarks on branches that were settled here
            graph = tracer.trace(root)
    except Exception:  # whatever Python code meets when its input is no tensor
        return None
    return Captured(root, graph, _with_module_names(tracer.steps))


def with_taps(network: nn.Module, layers: Sequence[str]) -> tuple[nn.Module, dict[str, str]]:
    """Return `network` as a graph that ends at the deepest of `layers`.

    Returns
    -------
    module : nn.Module
    places : dict of layer → path of a module in it
        That module gives the layer's output, and nothing happens in between.
    """
    captured = capture(network)
    assert captured is not None, "a table lists nodes only of networks that were captured"
    root, graph = captured.root, captured.graph
    steps = {step.name: step for step in reversed(captured.steps)}
    ends = {layer: steps.get(layer) or _around(captured, layer) for layer in layers}
    _end_after(graph, {step.end for step in ends.values()})
    places = {}
    for number, (layer, step) in enumerate(ends.items()):
        if step.name == layer:
            places[layer] = f"tap_{number}"
            root.add_module(places[layer], nn.Identity())
            with graph.inserting_after(step.end):
                graph.call_module(places[layer], (step.node,))
        else:
            places[layer] = f"{_ROOT}.{layer}"
    return captured.module(), places


def _around(captured: Captured, layer: str) -> Step:
    """Return the opaque module that `layer` is part of."""
    return next(
        step for step in captured.steps if step.is_opaque and layer.startswith(f"{step.path}.")
    )


def _end_after(graph: fx.Graph, wanted: set[fx.Node]) -> None:
    """Remove what comes after the last of `wanted`, so that it is not held either."""
    for node in reversed(graph.nodes):
        if node in wanted:
            return
        graph.erase_node(node)


class _OneInput(nn.Module):
    """The network called with its first argument alone, as a cut calls it."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Any) -> Any:
        return self.network(x)


class _StepTracer(fx.Tracer):
    """Notes each operation under torchvision's name for it, and where modules end.

    Networks that run in other threads meanwhile come by here too, and are let through.
    """

    def __init__(self) -> None:
        modules, functions, opaque = _conventions()
        super().__init__(autowrap_modules=modules, autowrap_functions=functions)
        self._opaque = opaque
        self._thread = threading.get_ident()
        self._path = ""  # of the module being traced
        self._times: Counter[str] = Counter()
        self.steps: list[Step] = []

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        if module_qualified_name == _ROOT:  # also where the whole network is one of torch's own
            return False
        return isinstance(m, self._opaque) or super().is_leaf_module(m, module_qualified_name)

    def call_module(self, m: nn.Module, forward: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        if threading.get_ident() != self._thread:
            return forward(*args, **kwargs)
        target, outside = self.path_of_module(m), self._path
        self._path = target.removeprefix(_ROOT).removeprefix(".")
        try:
            if self.is_leaf_module(m, target):
                return self._note(self.create_proxy("call_module", target, args, kwargs), m)
            output = forward(*args, **kwargs)
            first = output[0] if isinstance(output, (tuple, list)) and output else output
            is_new = isinstance(first, fx.Proxy) and all(first is not each for each in args)
            if self._path and is_new:
                last = next(reversed(self.graph.nodes))
                step = Step(self._path, self._path, first.node, m, is_block=True, last=last)
                self.steps.append(step)
            return output
        finally:
            self._path = outside

    def getattr(self, attr: str, attr_val: Any, parameter_proxy_cache: dict[str, Any]) -> Any:
        if threading.get_ident() != self._thread:
            return attr_val
        return super().getattr(attr, attr_val, parameter_proxy_cache)

    def create_proxy(self, kind: str, *args: Any, **kwargs: Any) -> fx.Proxy:
        proxy = super().create_proxy(kind, *args, **kwargs)
        return self._note(proxy, None) if kind in ("call_function", "call_method") else proxy

    def _note(self, proxy: fx.Proxy, module: nn.Module | None) -> fx.Proxy:
        own = self._path if module is not None else f"{self._path}.{proxy.node}".lstrip(".")
        # As `torchvision.models.feature_extraction.NodePathTracer` counts what has one name.
        base = re.sub(r"(?<=.)_[0-9]+$", "", own)
        name = f"{base}_{self._times[base]}" if self._times[base] else base
        self._times[base] += 1
        self.steps.append(Step(name, self._path, proxy.node, module))
        return proxy


def _with_module_names(steps: Sequence[Step]) -> tuple[Step, ...]:
    """Name modules that are called once by their path, which wins over any operation's name."""
    times = Counter(step.path for step in steps if step.module is not None)
    named = [
        replace(step, name=step.path) if step.module is not None and times[step.path] == 1 else step
        for step in steps
    ]
    taken = {step.name for step in named if step.module is not None}
    return tuple(step for step in named if step.module is not None or step.name not in taken)


def _conventions() -> tuple[tuple[Any, ...], tuple[Any, ...], tuple[type, ...]]:
    """Return modules and functions not to look into, and classes likewise.

    Those that torchvision and timm declare for their own networks; a network of theirs can only be
    there if they are imported already.
    """
    modules, functions, opaque = [math], [], []
    torchvision, timm = sys.modules.get("torchvision"), sys.modules.get("timm")
    if torchvision is not None:
        operations = torchvision.ops
        modules.append(operations)
        found = (getattr(operations, name) for name in dir(operations))
        opaque += [each for each in found if isinstance(each, type) and issubclass(each, nn.Module)]
    if timm is not None:
        functions += timm.layers.get_notrace_functions()
        opaque += timm.layers.get_notrace_modules()
    return tuple(modules), tuple(functions), tuple(opaque)

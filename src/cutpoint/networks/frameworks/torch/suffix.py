"""What lies above a cut, as a module of its own whose weights may be trained.

The network's graph is cut in two where one value alone that depends on the items passes on. What
the output no longer needs is dropped by reachability (`eliminate_dead_code` of PyTorch keeps batch
norms, which count as impure). Networks that Python decides in are exported instead of traced.
"""

from __future__ import annotations

import copy
import re
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import fx, nn

from cutpoint.base.contracts import ACTIVATION, Parameter, Trainer, Tuning
from cutpoint.base.errors import CutNotSeparable, UsageError
from cutpoint.base.spec import BackboneSpec, TapSpec
from cutpoint.base.types import Array, Batch, Features
from cutpoint.networks.frameworks.inputs import is_free, mask_of_tap
from cutpoint.networks.frameworks.torch.graph import capture
from cutpoint.networks.frameworks.torch.inputs import (
    Calling,
    Given,
    input_layers,
    random_input,
    ready,
)
from cutpoint.networks.frameworks.torch.modules import clone_tree, first_tensor
from cutpoint.networks.frameworks.torch.ops import TORCH
from cutpoint.networks.frameworks.torch.training import TorchTrainer
from cutpoint.networks.layer_table import LayerTable
from cutpoint.networks.pooling import apply_pool

_ROOT = "network."
_QUERY = re.compile(r"(^|\.)(q|query|q_proj|q_lin|qkv)$")
_VALUE = re.compile(r"(^|\.)(v|value|v_proj|v_lin)$")


def parameters(network: Any, table: LayerTable) -> tuple[Parameter, ...]:
    """Return all parameters of `network`, each with the layer of `table` that holds it."""
    names = {row.name for row in table.rows}
    modules = dict(network.named_modules())
    found = []
    for name, tensor in network.named_parameters():
        path = name.rpartition(".")[0]
        role = _role(path, modules[path], tensor.ndim)
        found.append(Parameter(name, _owner(path, names, table), tuple(tensor.shape), role))
    return tuple(found)


def _owner(path: str, names: set[str], table: LayerTable) -> str:
    """Return the innermost layer around a module; of what no layer holds, the first layer."""
    while path and path not in names:
        path = path.rpartition(".")[0]
    return path or table.rows[0].name


def _role(path: str, module: nn.Module, ndim: int) -> str:
    if "norm" in type(module).__name__.lower() and ndim == 1:
        return "norm"
    if not isinstance(module, nn.Linear) or ndim != 2:
        return ""
    return "query" if _QUERY.search(path) else "value" if _VALUE.search(path) else ""


def make_suffix(
    network: Any, spec: BackboneSpec, taps: Sequence[TapSpec], cut: str, table: LayerTable
) -> TorchSuffix:
    """Return what lies above layer `cut` of `network`, up to the deepest of `taps`.

    Raises
    ------
    CutNotSeparable
        If more than the output of `cut` is needed above it; the others are named.
    """
    graph = _captured(network, spec)
    if cut:
        graph.separate(cut, spec.id)
    outputs = graph.read(list(dict.fromkeys(tap.layer for tap in taps)))
    module = copy.deepcopy(outputs)  # on weights of its own
    return TorchSuffix(
        module, spec, tuple(taps), cut, table, graph.masks, parameters(network, table)
    )


def crossing(network: Any, spec: BackboneSpec, table: LayerTable, cuts: Iterable[str]) -> str:
    """Return the first of `cuts` at which the network can be cut in two; empty if there is none."""
    graph = _captured(network, spec)
    return next((cut for cut in cuts if graph.has(cut) and not graph.others(cut)), "")


def with_weights(network: Any, weights: Mapping[str, Array]) -> Any:
    """Return a copy of `network` in which these parameters are other."""
    twin = copy.deepcopy(network)
    named = dict(twin.named_parameters())
    with torch.no_grad():
        for name, values in weights.items():
            named[name].copy_(torch.from_numpy(values.copy()))
    return twin


def training_device() -> str:
    """Return what is trained on where nobody says: CUDA, if it is there."""
    return "cuda" if torch.cuda.is_available() else "cpu"


class TorchSuffix:
    """See `contracts.Suffix`; norms stay in inference whatever happens, as there is no other mode.

    Parameters
    ----------
    module : nn.Module
        Activation and masks → tuple of activations at the layers of `taps`.
    """

    def __init__(
        self,
        module: fx.GraphModule,
        spec: BackboneSpec,
        taps: tuple[TapSpec, ...],
        cut: str,
        table: LayerTable,
        masks: tuple[str, ...],
        known: tuple[Parameter, ...],
    ) -> None:
        self.module = _Pooled(module, spec, taps, cut, table, masks).eval()
        self.taps, self.cut = taps, cut
        own = set(self.module.own_names())
        self.parameters = tuple(each for each in known if each.name in own)

    def __call__(self, batch: Batch) -> Features:
        with torch.inference_mode():
            return {name: each.numpy() for name, each in self.module(_tensors(batch)).items()}

    def trainer(self, tuning: Tuning) -> Trainer:
        return TorchTrainer(copy.deepcopy(self.module), tuning)


def _tensors(batch: Batch) -> Given:
    return {name: torch.from_numpy(each.copy()) for name, each in batch.items()}


class _Pooled(nn.Module):
    """Batch of tensors → pooled taps by name."""

    prefix = f"inner.{_ROOT}"

    def __init__(
        self,
        inner: fx.GraphModule,
        spec: BackboneSpec,
        taps: tuple[TapSpec, ...],
        cut: str,
        table: LayerTable,
        masks: tuple[str, ...],
    ) -> None:
        super().__init__()
        self.inner, self.taps, self.masks = inner, taps, masks
        self.preprocess = spec.preprocess
        self.prepare = None if cut else input_layers(spec.preprocess)
        self.layers = list(dict.fromkeys(tap.layer for tap in taps))
        self.layouts = {layer: table[layer].layout for layer in self.layers}
        self.mask_of = {n: mask_of_tap(table[n], spec.preprocess.inputs) for n in self.layers}

    def own_names(self) -> list[str]:
        """Return the names that its parameters have in the network."""
        names = (name for name, _ in self.inner.named_parameters())
        return [name.removeprefix(_ROOT) for name in names]

    def forward(self, batch: Given) -> dict[str, torch.Tensor]:
        found = dict(zip(self.layers, self.inner(*self._inputs(batch)), strict=True))
        return {tap.name: self._pool(tap, found[tap.layer], batch) for tap in self.taps}

    def _inputs(self, batch: Given) -> list[torch.Tensor]:
        if self.prepare is None:
            return [_as_computed(batch[ACTIVATION]), *(batch[name] for name in self.masks)]
        given = ready(self.prepare, self.preprocess, batch)
        return list(given.values())

    def _pool(self, tap: TapSpec, activation: torch.Tensor, batch: Given) -> torch.Tensor:
        name = self.mask_of[tap.layer]
        mask = batch[name].float() if name else None
        layout = self.layouts[tap.layer]
        pooled: torch.Tensor = apply_pool(
            tap.pool, activation.float(), layout, TORCH, mask, tap.revision
        )
        return pooled.float()


def _as_computed(activation: torch.Tensor) -> torch.Tensor:
    """Return maps with channels last in memory, as images enter a cut: so each sum is the same."""
    if activation.ndim != 4:
        return activation
    return activation.contiguous(memory_format=torch.channels_last)


@dataclass
class _Graph:
    """A network's graph, and where its layers end.

    Attributes
    ----------
    ends : dict of layer → (value, node after which it is what others see)
    data : tuple of fx.Node
        Inputs that are no masks.
    masks : tuple of str
        The other inputs, in the graph's order.
    """

    root: nn.Module
    graph: fx.Graph
    ends: dict[str, tuple[fx.Node, fx.Node]]
    data: tuple[fx.Node, ...]
    masks: tuple[str, ...]

    def has(self, layer: str) -> bool:
        return layer in self.ends

    def others(self, cut: str) -> list[str]:
        """Return what depends on the items and is needed above `cut` beside its output."""
        places = {node: place for place, node in enumerate(self.graph.nodes)}
        value, end = self.ends[cut]
        dependent = self._dependent()
        return [
            self._shown(node)
            for node in self.graph.nodes
            if node in dependent
            and node is not value
            and places[node] <= places[end]
            and any(places[user] > places[end] for user in node.users)
        ]

    def _dependent(self) -> set[fx.Node]:
        """Return all values that depend on the items, but for how many and how long they are."""
        found = set(self.data)
        for node in self.graph.nodes:
            if not _is_size(node) and found.intersection(node.all_input_nodes):
                found.add(node)
        return found

    def _shown(self, node: fx.Node) -> str:
        named = (layer for layer, (value, _) in self.ends.items() if value is node)
        return next(named, str(node))

    def separate(self, cut: str, backbone: str) -> None:
        """Make the output of `cut` the graph's first input, in place of the items."""
        if cut not in self.ends:
            raise _not_in_graph(cut, backbone)
        if others := self.others(cut):
            raise _not_separable(cut, others, backbone)
        value, end = self.ends[cut]
        first = next(iter(self.graph.nodes))
        with self.graph.inserting_before(first):
            activation = self.graph.placeholder(ACTIVATION)
        later = set(list(self.graph.nodes)[list(self.graph.nodes).index(end) + 1 :])
        value.replace_all_uses_with(activation, delete_user_cb=lambda user: user in later)
        masks = [node for node in self.graph.nodes if node.op == "placeholder"]
        masks = [node for node in masks if node is not activation and node not in self.data]
        for node in list(self.graph.nodes):  # masks are as many and as long as the items
            if masks and _is_size(node) and set(node.all_input_nodes) & set(self.data):
                node.args = (masks[0], *node.args[1:])

    def read(self, layers: Sequence[str]) -> fx.GraphModule:
        """Return the graph that gives the activations at `layers`, and nothing else."""
        outputs = []
        for layer in layers:
            value, end = self.ends[layer]
            with self.graph.inserting_after(end):
                # An operation further on may work in place.
                outputs.append(self.graph.call_function(torch.clone, (value,)))
        old = next(node for node in self.graph.nodes if node.op == "output")
        self.graph.erase_node(old)
        self.graph.output(tuple(outputs))
        needed = _reachable(self.graph)
        for node in reversed(list(self.graph.nodes)):
            is_input = node.op == "placeholder" and node not in self._given_up
            if node not in needed and not is_input:
                self.graph.erase_node(node)
        self.graph.set_codegen(fx.graph.CodeGen())  # an exported one packs its inputs in a tuple
        self.graph.lint()
        return fx.GraphModule(self.root, self.graph)

    @property
    def _given_up(self) -> tuple[fx.Node, ...]:
        """Inputs that the graph no longer takes once it begins at a cut."""
        begins_at_cut = next(iter(self.graph.nodes)).target == ACTIVATION
        return self.data if begins_at_cut else ()


def _reachable(graph: fx.Graph) -> set[fx.Node]:
    """Return what the output needs: operations in place on what it needs among it."""
    nodes = list(graph.nodes)
    needed = {nodes[-1]}
    for node in reversed(nodes):
        works_on_needed = _is_in_place(node) and needed.intersection(node.all_input_nodes[:1])
        if node in needed or works_on_needed:
            needed.add(node)
            needed.update(node.all_input_nodes)
    return needed


def _is_in_place(node: fx.Node) -> bool:
    name = node.target if isinstance(node.target, str) else getattr(node.target, "__name__", "")
    is_function = node.op in ("call_function", "call_method") and name.split(".")[0].endswith("_")
    return is_function and not name.startswith("_") and not node.users


def _is_size(node: fx.Node) -> bool:
    return node.op == "call_function" and "sym_size" in str(node.target)


def _captured(network: nn.Module, spec: BackboneSpec) -> _Graph:
    """Return the graph: traced, with all that has a name in the table; else exported."""
    call = Calling(network, spec.preprocess, spec.constants)
    traced = capture(network) if call.is_plain else None
    if traced is None:
        return _exported(network, spec, call)
    data = tuple(node for node in traced.graph.nodes if node.op == "placeholder")
    ends = {step.name: (step.node, step.end) for step in reversed(traced.steps)}
    return _Graph(traced.root, traced.graph, ends, data, ())


class _Called(nn.Module):
    """The network, given tensors in the order of `names`."""

    def __init__(self, network: nn.Module, call: Calling, names: Sequence[str]) -> None:
        super().__init__()
        self.network = network
        self._call, self._names = call, tuple(names)

    def forward(self, *given: torch.Tensor) -> torch.Tensor | None:
        return first_tensor(self._call(self.network, dict(zip(self._names, given, strict=True))))


def _exported(network: nn.Module, spec: BackboneSpec, call: Calling) -> _Graph:
    item = random_input(spec.preprocess, 2)
    names = list(item)
    called = _Called(clone_tree(network).eval(), call, names)
    shapes = [_dynamic(spec, name) for name in names]
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")
            program = torch.export.export(
                called, tuple(item.values()), dynamic_shapes={"given": tuple(shapes)}, strict=False
            )
            module = program.module(check_guards=False)
    except Exception as error:  # whatever Python code meets while it is exported
        raise UsageError(
            f'The network of "{spec.id}" can\'t be fine-tuned: it has no graph.',
            f"torch.export raised {type(error).__name__}: {' '.join(str(error).split())[:200]}",
            "A network whose operations do not depend on the numbers it is given.",
            "Try it with:  torch.export.export(network, (batch,))",
        ) from error
    graph = module.graph
    inputs = [node for node in graph.nodes if node.op == "placeholder"]
    masks = {name for name, each in spec.preprocess.inputs.items() if each.mask_of}
    data = tuple(node for node, name in zip(inputs, names, strict=True) if name not in masks)
    ordered = tuple(name for name in names if name in masks)
    return _Graph(module, graph, _ends_of_modules(graph), data, ordered)


def _dynamic(spec: BackboneSpec, name: str) -> dict[int, Any]:
    auto = torch.export.Dim.DYNAMIC
    shape = spec.preprocess.inputs[name].shape
    free = {axis + 1: auto for axis, size in enumerate(shape) if size is None}
    return {0: auto, **(free if is_free(spec.preprocess) else {})}


def _ends_of_modules(graph: fx.Graph) -> dict[str, tuple[fx.Node, fx.Node]]:
    """Return the last operation of each module that is called once."""
    found: dict[str, tuple[fx.Node, fx.Node]] = {}
    left: set[str] = set()
    inside: set[str] = set()
    twice: set[str] = set()
    for node in graph.nodes:
        if node.op not in ("call_function", "call_method", "call_module"):
            continue
        stack = node.meta.get("nn_module_stack") or {}
        now = {path.removeprefix(_ROOT) for path, _ in stack.values() if path.startswith(_ROOT)}
        twice |= now & left
        left |= inside - now
        inside = now
        for path in now:
            found[path] = (node, node)
    return {path: end for path, end in found.items() if path not in twice}


def _not_separable(cut: str, others: Sequence[str], backbone: str) -> CutNotSeparable:
    more = f" (and {len(others) - 3} more)" if len(others) > 3 else ""
    return CutNotSeparable(
        f'The network of "{backbone}" can\'t be cut in two at "{cut}": more crosses the cut.',
        f"Needed above it as well: {', '.join(others[:3])}{more}.",
        "A layer whose output is all that passes on, such as the end of a block.",
        "Look at the blocks' ends with:  backbone.layers().auto_taps()",
    )


def _not_in_graph(cut: str, backbone: str) -> CutNotSeparable:
    return CutNotSeparable(
        f'The network of "{backbone}" can\'t be cut in two at "{cut}".',
        "Its graph has no single place of that name: it is run several times, or not as a module.",
        "A layer that runs once, such as the end of a block.",
        "Look at the blocks' ends with:  backbone.layers().auto_taps()",
    )

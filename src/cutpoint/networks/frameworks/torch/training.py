"""One step of training a suffix in PyTorch."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from cutpoint.base.contracts import Tuning
from cutpoint.base.types import Array, Batch
from cutpoint.networks.frameworks.torch.ops import TorchOps

HEAD = ("head.W", "head.b")
_FIRST, _SECOND = ".lora_A", ".lora_B"


class TorchRowOps(TorchOps):
    """What stages of a recipe are written in, beside pools."""

    def __init__(self, device: str) -> None:
        self.device = device

    def constant(self, values: Any) -> torch.Tensor:
        dense = values.toarray() if hasattr(values, "toarray") else np.asarray(values)
        return torch.from_numpy(dense.astype(np.float32)).to(self.device)

    def softmax(self, x: torch.Tensor) -> torch.Tensor:
        return x.softmax(1)

    def sigmoid(self, x: torch.Tensor) -> torch.Tensor:
        return x.sigmoid()

    def tanh(self, x: torch.Tensor) -> torch.Tensor:
        return x.tanh()


class TorchTrainer:
    """See `contracts.Trainer`.

    Parameters
    ----------
    module : nn.Module
        Batch of tensors → pooled taps; its own from now on. Parameters have their names after
        ``module.prefix``.
    """

    def __init__(self, module: Any, tuning: Tuning) -> None:
        self.tuning = tuning
        self.module = module.to(tuning.device)
        self.ops = TorchRowOps(tuning.device)
        self.module.requires_grad_(False)
        named = dict(self.module.named_parameters())
        self._base = {name: named[module.prefix + name] for name in tuning.trainable}
        self._trained = {**self._of_suffix(), **self._of_head()}
        for tensor in self._trained.values():
            tensor.requires_grad_(True)
        self._start = {n: each.detach().clone() for n, each in self._trained.items()}
        self._optimiser = self._new_optimiser()
        self._n_steps, self._length, self._cut_to = 0, math.nan, 1.0

    def _of_suffix(self) -> dict[str, torch.Tensor]:
        if not self.tuning.rank:
            return dict(self._base)
        found = {}
        generator = torch.Generator().manual_seed(self.tuning.seed)
        for name, weight in self._base.items():
            n_out, n_in = weight.shape
            # As LoRA begins: the product is zero, and only the second factor has a gradient.
            first = torch.randn(self.tuning.rank, n_in, generator=generator) / math.sqrt(n_in)
            found[name + _FIRST] = first.to(weight.device)
            found[name + _SECOND] = torch.zeros(n_out, self.tuning.rank, device=weight.device)
        return found

    def _of_head(self) -> dict[str, torch.Tensor]:
        given = zip(HEAD, (self.tuning.W, self.tuning.b), strict=True)
        return {
            name: nn.Parameter(self._tensor(np.array(each, np.float32))) for name, each in given
        }

    def _new_optimiser(self) -> torch.optim.AdamW:
        groups = [
            {
                "params": [tensor],
                "weight_decay": self.tuning.decay if tensor.ndim > 1 else 0.0,
                "name": _plain(name),
                "share": self.tuning.shares.get(_plain(name), 1.0),
            }
            for name, tensor in self._trained.items()
        ]
        return torch.optim.AdamW(groups, lr=0.0)

    def step(
        self, batch: Batch, targets: Array, rate: float, asleep: Collection[str] = ()
    ) -> float:
        for group in self._optimiser.param_groups:
            group["lr"] = 0.0 if group["name"] in asleep else rate * group["share"]
        self._optimiser.zero_grad()
        loss = self._loss(self._outputs(self._moved(batch), True), targets)
        loss.backward()  # type: ignore[no-untyped-call]  # PyTorch leaves it untyped
        if self.tuning.pull:
            for name, tensor in self._trained.items():
                assert tensor.grad is not None
                tensor.grad.add_(tensor.detach() - self._start[name], alpha=self.tuning.pull)
        found = float(loss.detach())
        tensors = list(self._trained.values())
        self._length = float(nn.utils.clip_grad_norm_(tensors, self.tuning.clip))
        self._cut_to = min(1.0, self.tuning.clip / (self._length + 1e-6))
        if not math.isfinite(found) or not math.isfinite(self._length):
            return math.nan
        self._optimiser.step()
        self._n_steps += 1
        return found

    def scores(self, batch: Batch, weights: Mapping[str, Array] | None = None) -> Array:
        given = None if weights is None else {n: self._tensor(x) for n, x in weights.items()}
        with torch.inference_mode():
            outputs = self._outputs(self._moved(batch), False, given)
        return np.asarray(outputs.cpu().numpy(), np.float64)

    def _tensor(self, values: Array) -> torch.Tensor:
        return torch.from_numpy(np.asarray(values, np.float32)).to(self.tuning.device)

    def _moved(self, batch: Batch) -> dict[str, torch.Tensor]:
        device = self.tuning.device
        moved = {n: torch.from_numpy(np.ascontiguousarray(x)).to(device) for n, x in batch.items()}
        # The store's half precision becomes single where the arithmetic is done.
        return {n: x.float() if x.dtype == torch.float16 else x for n, x in moved.items()}

    def _outputs(
        self,
        batch: dict[str, torch.Tensor],
        in_training: bool,
        given: Mapping[str, torch.Tensor] | None = None,
    ) -> torch.Tensor:
        own = self._trained if given is None else given
        pooled = {**batch, **self._taps(batch, given)}
        rows = self.tuning.chain.run(pooled, self.ops)
        if in_training and self.tuning.dropout:
            rows = rows * self._kept(rows)
        scores: torch.Tensor = rows @ own[HEAD[0]] + own[HEAD[1]]
        return scores

    def _taps(
        self, batch: dict[str, torch.Tensor], given: Mapping[str, torch.Tensor] | None
    ) -> Any:
        if given is None and not self.tuning.rank:
            return self.module(batch)
        own = self._merged() if given is None else {name: given[name] for name in self._base}
        named = {self.module.prefix + name: each for name, each in own.items()}
        return torch.func.functional_call(self.module, named, (batch,))

    def _merged(self) -> dict[str, torch.Tensor]:
        """Return the weights as they are in effect; W + B A with rank, alpha equal to the rank."""
        if not self.tuning.rank:
            return dict(self._base)
        own = self._trained
        return {n: w + own[n + _SECOND] @ own[n + _FIRST] for n, w in self._base.items()}

    def _kept(self, rows: torch.Tensor) -> torch.Tensor:
        """Return the mask of dropout, which depends on the seed and the number of the step."""
        random = np.random.default_rng([self.tuning.seed, self._n_steps])
        share = 1 - self.tuning.dropout
        mask = (random.random(tuple(rows.shape)) < share).astype(np.float32) / share
        return torch.from_numpy(mask.astype(np.float32)).to(rows.device)

    def _loss(self, outputs: torch.Tensor, targets: Array) -> torch.Tensor:
        truth = torch.from_numpy(np.asarray(targets)).to(outputs.device)
        if self.tuning.loss == "classes":
            smoothing = self.tuning.smoothing
            return functional.cross_entropy(outputs, truth.long(), label_smoothing=smoothing)
        if self.tuning.loss == "labels":
            return functional.binary_cross_entropy_with_logits(outputs, truth.float())
        return functional.mse_loss(outputs, truth.float())

    def weights(self) -> dict[str, Array]:
        with torch.no_grad():
            found = {**self._merged(), **{name: self._trained[name] for name in HEAD}}
            return {name: each.detach().cpu().numpy().copy() for name, each in found.items()}

    def state(self) -> dict[str, Array]:
        found: dict[str, Array] = {"n_steps": np.array(self._n_steps)}
        for name, tensor in self._trained.items():
            found[f"weight.{name}"] = tensor.detach().cpu().numpy().copy()
            for key, each in self._optimiser.state.get(tensor, {}).items():
                found[f"{key}.{name}"] = each.detach().cpu().numpy().copy()
        return found

    def set_state(self, state: Mapping[str, Array]) -> None:
        self._n_steps = int(state["n_steps"])
        with torch.no_grad():
            for name, tensor in self._trained.items():
                tensor.copy_(torch.from_numpy(state[f"weight.{name}"].copy()))
        keys = ("step", "exp_avg", "exp_avg_sq")
        self._optimiser = self._new_optimiser()
        for name, tensor in self._trained.items():
            if f"step.{name}" in state:
                self._optimiser.state[tensor] = {
                    key: torch.from_numpy(state[f"{key}.{name}"].copy()) for key in keys
                }

    def gradient_lengths(self) -> dict[str, float]:
        found: dict[str, float] = {}
        for name, tensor in self._trained.items():
            if tensor.grad is not None:
                length = float(tensor.grad.norm()) / self._cut_to
                found[_plain(name)] = math.hypot(found.get(_plain(name), 0.0), length)
        return found


def _plain(name: str) -> str:
    """Return whose parameter a factor of a product changes."""
    return name.removesuffix(_FIRST).removesuffix(_SECOND)

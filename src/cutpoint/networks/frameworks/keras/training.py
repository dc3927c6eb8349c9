"""One step of training a suffix in Keras, on TensorFlow or PyTorch.

Not by ``fit()``: it puts layers into training mode even where they were called with
``training=False`` (seen in Keras 3.15), and moves the statistics of batch norms.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from typing import Any

import keras
import numpy as np
from keras import ops

from cutpoint.base.contracts import Tuning
from cutpoint.base.errors import UsageError
from cutpoint.base.types import Array, Batch
from cutpoint.networks.frameworks.keras.ops import KerasOps
from cutpoint.networks.runtimes.tensorflow import import_tensorflow

HEAD = ("head.W", "head.b")
_BETAS, _EPSILON = (0.9, 0.999), 1e-8  # AdamW's, as PyTorch has them


class KerasRowOps(KerasOps):
    """What stages of a recipe are written in, beside pools."""

    def constant(self, values: Any) -> Any:
        dense = values.toarray() if hasattr(values, "toarray") else np.asarray(values)
        return ops.convert_to_tensor(dense.astype(np.float32))

    def softmax(self, x: Any) -> Any:
        return ops.softmax(x, axis=1)

    def sigmoid(self, x: Any) -> Any:
        return ops.sigmoid(x)

    def tanh(self, x: Any) -> Any:
        return ops.tanh(x)


class KerasTrainer:
    """See `contracts.Trainer`.

    The optimiser is written out, in NumPy: AdamW as PyTorch defines it, whose state is arrays.
    """

    def __init__(self, suffix: Any, tuning: Tuning) -> None:
        if tuning.rank:
            raise UsageError(
                "lora is not there for Keras networks.",
                "It is written for projections of attention in PyTorch.",
                "Norms or the last blocks.",
                'Type, for example:  unfreeze="last:1"',
            )
        self.tuning, self.suffix, self.ops = tuning, suffix, KerasRowOps()
        given = zip(HEAD, (tuning.W, tuning.b), strict=True)
        head = {n: keras.Variable(np.array(x, np.float32), dtype="float32") for n, x in given}
        self._trained = {**{name: suffix.named[name] for name in tuning.trainable}, **head}
        self._start = self.weights()
        self._moments: dict[str, tuple[Array, Array]] = {
            name: (np.zeros_like(x), np.zeros_like(x)) for name, x in self._start.items()
        }
        self._n_steps, self._lengths = 0, dict[str, float]()
        on_torch = keras.backend.backend() == "torch"
        self._differentiate = self._by_torch if on_torch else self._by_tensorflow()

    def step(
        self, batch: Batch, targets: Array, rate: float, asleep: Collection[str] = ()
    ) -> float:
        mask = self._dropped(len(targets))
        loss, gradients = self._differentiate(_moved(batch), np.asarray(targets), mask)
        values = self.weights()
        if self.tuning.pull:
            for name, value in values.items():
                gradients[name] = gradients[name] + self.tuning.pull * (value - self._start[name])
        self._lengths = {name: float(np.linalg.norm(each)) for name, each in gradients.items()}
        length = math.hypot(*self._lengths.values())
        if not math.isfinite(loss) or not math.isfinite(length):
            return math.nan
        self._n_steps += 1
        cut_to = np.float32(min(1.0, self.tuning.clip / (length + 1e-6)))
        for name, value in values.items():
            share = 0.0 if name in asleep else self.tuning.shares.get(name, 1.0)
            self._trained[name].assign(
                self._moved_by(name, value, gradients[name] * cut_to, rate * share)
            )
        return loss

    def _moved_by(self, name: str, value: Array, gradient: Array, rate: float) -> Array:
        """Return a weight after AdamW's step."""
        first, second = self._moments[name]
        first = np.float32(_BETAS[0]) * first + np.float32(1 - _BETAS[0]) * gradient
        second = np.float32(_BETAS[1]) * second + np.float32(1 - _BETAS[1]) * np.square(gradient)
        self._moments[name] = (first, second)
        unbiased = [1 - beta**self._n_steps for beta in _BETAS]
        decayed = value * np.float32(1 - rate * (self.tuning.decay if value.ndim > 1 else 0.0))
        scale = np.sqrt(second) / np.float32(math.sqrt(unbiased[1])) + np.float32(_EPSILON)
        return np.asarray(decayed - np.float32(rate / unbiased[0]) * first / scale, np.float32)

    def scores(self, batch: Batch, weights: Mapping[str, Array] | None = None) -> Array:
        own = self.weights() if weights is not None else {}
        self._assign(weights or {})
        outputs = self._outputs(_moved(batch), None)
        found = np.asarray(ops.convert_to_numpy(ops.stop_gradient(outputs)), np.float64)
        self._assign(own)
        return found

    def _outputs(self, batch: dict[str, Any], mask: Any) -> Any:
        pooled = {**batch, **self.suffix.pooled(batch)}
        rows = self.tuning.chain.run(pooled, self.ops)
        rows = rows if mask is None else ops.multiply(rows, ops.convert_to_tensor(mask))
        return ops.matmul(rows, self._trained[HEAD[0]]) + self._trained[HEAD[1]]

    def _dropped(self, n_items: int) -> Array | None:
        if not self.tuning.dropout:
            return None
        random = np.random.default_rng([self.tuning.seed, self._n_steps])
        share = 1 - self.tuning.dropout
        kept = random.random((n_items, len(self.tuning.W))) < share
        return np.asarray(kept / share, np.float32)

    def _loss(self, batch: dict[str, Any], targets: Any, mask: Any) -> Any:
        outputs = self._outputs(batch, mask)
        if self.tuning.loss == "classes":
            width, smoothing = outputs.shape[1], self.tuning.smoothing
            truth = ops.one_hot(ops.cast(targets, "int32"), width) * (1 - smoothing)
            return -ops.mean(ops.sum((truth + smoothing / width) * ops.log_softmax(outputs), 1))
        truth = ops.cast(targets, "float32")
        if self.tuning.loss == "labels":
            # log(1 + exp(x)) − t x, which is binary cross-entropy and no number too large for it
            return ops.mean(ops.softplus(outputs) - truth * outputs)
        return ops.mean(ops.square(outputs - truth))

    def _by_tensorflow(self) -> Any:
        tf = import_tensorflow()
        names = list(self._trained)
        variables = [self._trained[name].value for name in names]

        @tf.function(reduce_retracing=True)  # type: ignore[untyped-decorator]  # no types
        def traced(batch: Any, targets: Any, mask: Any) -> Any:
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(variables)
                loss = self._loss(batch, targets, mask)
            return loss, tape.gradient(loss, variables)

        def differentiate(batch: Any, targets: Any, mask: Any) -> tuple[float, dict[str, Array]]:
            loss, found = traced(batch, tf.constant(targets), mask)
            dense = (tf.convert_to_tensor(each).numpy() for each in found)
            return float(loss), dict(zip(names, dense, strict=True))

        return differentiate

    def _by_torch(self, batch: Any, targets: Any, mask: Any) -> tuple[float, dict[str, Array]]:
        import torch

        tensors = {name: each.value for name, each in self._trained.items()}
        for tensor in tensors.values():
            tensor.requires_grad_(True)
        loss = self._loss(batch, ops.convert_to_tensor(targets), mask)
        found = torch.autograd.grad(loss, list(tensors.values()))
        gradients = (each.cpu().numpy() for each in found)
        return float(loss.detach()), dict(zip(tensors, gradients, strict=True))

    def weights(self) -> dict[str, Array]:
        return {n: np.array(_numpy(each)) for n, each in self._trained.items()}

    def _assign(self, weights: Mapping[str, Array]) -> None:
        for name, values in weights.items():
            self._trained[name].assign(np.asarray(values, np.float32))

    def state(self) -> dict[str, Array]:
        found: dict[str, Array] = {"n_steps": np.array(self._n_steps)}
        for name, values in self.weights().items():
            found[f"weight.{name}"] = values
            found[f"first.{name}"], found[f"second.{name}"] = self._moments[name]
        return found

    def set_state(self, state: Mapping[str, Array]) -> None:
        self._n_steps = int(state["n_steps"])
        self._assign({name: state[f"weight.{name}"] for name in self._trained})
        self._moments = {n: (state[f"first.{n}"], state[f"second.{n}"]) for n in self._trained}

    def gradient_lengths(self) -> dict[str, float]:
        return dict(self._lengths)


def _numpy(variable: Any) -> Any:
    return ops.convert_to_numpy(ops.stop_gradient(variable.value))


def _moved(batch: Batch) -> dict[str, Any]:
    moved = {name: ops.convert_to_tensor(each) for name, each in batch.items()}
    # The store's half precision becomes single where the arithmetic is done.
    return {n: ops.cast(x, "float32") if "float16" in str(x.dtype) else x for n, x in moved.items()}

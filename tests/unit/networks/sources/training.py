"""What a user does to a network of any source, and what must come of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cutpoint.base.errors import WeightsError
from cutpoint.networks.backbone import Backbone
from tests.conftest import shape_of


def refused_after_a_step_of_training(backbone: Backbone, layer: str) -> None:
    """Train what `symbolic` gives, one step; features of that must not go by the old name."""
    part = backbone.symbolic(layer, trainable=True)
    assert backbone.feature_spec([layer])
    (_step_of_keras if hasattr(part, "_keras_history") else _step_of_torch)(backbone, part)
    for ask in (lambda: backbone.feature_spec([layer]), lambda: backbone.cut(layer)):
        with pytest.raises(WeightsError, match="no longer holds the weights"):
            ask()


def _step_of_torch(backbone: Backbone, part: Any) -> None:
    import torch

    shape = shape_of(backbone.spec.preprocess)
    images = torch.randn(2, shape[2], *shape[:2], generator=torch.Generator().manual_seed(0))
    optimiser = torch.optim.SGD(part.parameters(), 0.1)
    part(images).square().mean().backward()
    optimiser.step()


def _step_of_keras(backbone: Backbone, part: Any) -> None:
    from cutpoint.networks.runtimes.keras import import_keras

    keras = import_keras()
    head = keras.layers.Dense(1)(keras.layers.GlobalAveragePooling2D()(part))
    model = keras.Model(backbone.network.input, head)
    model.compile("sgd", "mse")
    images = np.random.default_rng(0).normal(size=(2, *shape_of(backbone.spec.preprocess)))
    model.fit(images, np.ones((2, 1)), verbose=0)

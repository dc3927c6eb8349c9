"""The stores and the predictor that are tortured, and what undisturbed ones hold.

A store has three views of two specs, its data sets ever larger; pictures are so small that a run
takes a tenth of a second, and units so small that it commits many times.
"""

from __future__ import annotations

import contextlib
import gc
import hashlib
import io
import os
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import cutpoint
from cutpoint.features.extraction import plan
from cutpoint.features.store import Features, FeatureStore
from cutpoint.items.kinds import prepare_item
from cutpoint.items.reading import digest_payload, read_dataset, read_payload
from cutpoint.testing import FakeBackbone
from tests.torture.trial import attempt, command, ended_well

UNIT_SIZE = 4  # items a shard
TAPS = ("--tap", "conv2", "--tap", "conv3", "--pool", "gap", "--pool", "gmp")
OTHER_TAPS = ("--tap", "conv1", "--pool", "gap")
SIZES = {"few": 4, "some": 12, "all": 24}


@dataclass
class Ground:
    """A folder to torture in, with what was made there undisturbed.

    Attributes
    ----------
    folder : Path
    answers : dict of data set → digest of all that its `Features` give
    columns : dict of data set → its items, as text
    spec_id : str
        Of the data sets "some" and "all".
    rows : dict of (spec id, tap, payload digest) → bytes
    payload_of : dict of sha256 of a prepared picture → payload digest
    predicted : tuple of str
        Digests of what the older and the newer predictor say of the pictures.
    run_s : float
        What an extraction takes.
    """

    folder: Path
    answers: dict[str, str] = field(default_factory=dict)
    columns: dict[str, str] = field(default_factory=dict)
    spec_id: str = ""
    rows: dict[tuple[str, str, str], bytes] = field(default_factory=dict)
    payload_of: dict[str, str] = field(default_factory=dict)
    predicted: tuple[str, ...] = ()
    run_s: float = 0.0

    @property
    def store(self) -> Path:
        return self.folder / "store"

    @property
    def part(self) -> Path:
        """The store before its last data set."""
        return self.folder / "part"

    @property
    def predictors(self) -> tuple[Path, Path]:
        """An older predictor and a newer one."""
        return self.folder / "old.cutpoint", self.folder / "new.cutpoint"

    def data(self, name: str) -> Path:
        return self.folder / "data" / name

    def extract(self, store: Path, name: str = "all", taps: tuple[str, ...] = TAPS) -> None:
        """Run ``cutpoint extract``, as its own process would."""
        words = ("--workers", "1", "--quiet")
        command("extract", self.data(name), "fake:seed0", "-o", store, *taps, *words)


def make_ground(folder: Path) -> Ground:
    """Return the ground, made anew in `folder`; it sets what this process and its forks use.

    What is imported late is imported here, and not in each fork.
    """
    folder = folder.resolve()
    ground = Ground(folder)
    for name in ("tmp", "models"):
        (folder / name).mkdir(parents=True)
    os.environ |= {"TMPDIR": str(folder / "tmp"), "CUTPOINT_MODELS": str(folder / "models")}
    plan.UNIT_SIZE = plan.MIN_UNIT_SIZE = UNIT_SIZE
    for name, n_items in SIZES.items():
        _draw(ground.data(name), n_items)
    backbone = FakeBackbone()
    _quietly(lambda: ground.extract(folder / "warm"))
    for name, taps in (("few", OTHER_TAPS), ("some", TAPS), ("all", TAPS)):
        if name == "all":
            shutil.copytree(ground.store, ground.part)
        made = attempt(folder, lambda n=name, t=taps: ground.extract(ground.store, n, t))
        assert made.code == 0, made.said
        features = FeatureStore(ground.store).open()
        ground.answers[name] = answer(features)
        ground.columns[name] = columns(features)
        _keep_rows(ground, features)
    assert features.warnings, "no note on a picture, so none can be lost"
    ground.spec_id = features.spec.fingerprint()
    FeatureStore(ground.store).add_network(ground.spec_id, NETWORK)
    for item in read_dataset(ground.data("all")).items:
        payload = read_payload(item)
        prepared, _ = prepare_item(payload, backbone.spec.preprocess, "")
        ground.payload_of[picture_id(prepared["image"])] = digest_payload(payload)
    for seed, path in enumerate(ground.predictors):
        data, own = ground.data("all"), folder / "fitted"
        recipe = "gap | concat | zscore | pca(4)"
        options = {"store": own, "recipe": recipe, "seed": seed, "n_workers": 1, "quiet": True}
        cutpoint.fit(data, None, "fake:seed0", **options).save(path)
    start = time.perf_counter()
    attempt(folder, lambda: ground.extract(folder / "timed"))
    ground.run_s = time.perf_counter() - start
    ground.predicted = tuple(predictions(ground, path) for path in ground.predictors)
    gc.collect()
    gc.freeze()  # else every fork copies what its collector looks at
    return ground


NETWORK = b"a network, as far as its keeping goes"


def _quietly(work: Callable[[], None]) -> None:
    with contextlib.redirect_stdout(io.StringIO()):
        ended_well(work)


def _draw(folder: Path, n_items: int) -> None:
    """Write pictures: two classes, one of three frames, two of equal bytes, some with splits."""
    for number in range(n_items):
        shade = np.random.default_rng(number if number != 5 else 3)
        pixels = shade.integers(0, 200, (16, 16, 3)).astype(np.uint8)
        pixels[..., number % 2] += 50
        name = folder / "ab"[number % 2] / f"{number:03d}.png"
        name.parent.mkdir(parents=True, exist_ok=True)
        image = Image.fromarray(pixels)
        if number == 6:
            others = [Image.fromarray(pixels // each) for each in (2, 3)]  # equal ones are merged
            image.save(name.with_suffix(".gif"), save_all=True, append_images=others)
        else:
            image.save(name)


def answer(features: Features) -> str:
    """Return a digest of all that a reader of features is given."""
    taken = hashlib.sha256(columns(features).encode())
    for tap in features.taps:
        taken.update(features.X(tap).tobytes())
    return taken.hexdigest()[:16]


def columns(features: Features) -> str:
    """Return which items there are: name, taps, classes, keys, payloads, labels, splits."""
    parts: list[Any] = [features.name, features.taps, features.classes]
    each = (features.keys, features.digests, features.labels, features.splits)
    return repr(parts + [[str(value) for value in column] for column in each])


def predictions(ground: Ground, path: Path) -> str:
    """Return a digest of what a saved predictor says of the pictures."""
    found = cutpoint.predict(path, ground.data("all"), n_workers=1, quiet=True)
    said = [(each.key, each.label, each.probability) for each in found]
    return hashlib.sha256(repr(said).encode()).hexdigest()[:16]


def _keep_rows(ground: Ground, features: Features) -> None:
    for tap in features.taps:
        for digest, row in zip(features.digests, features.X(tap), strict=True):
            ground.rows[features.spec.fingerprint(), tap, digest] = row.tobytes()


def n_wrong(ground: Ground, features: Features) -> int:
    """Return how many rows are not what the network gives for their payload."""
    spec_id, count = features.spec.fingerprint(), 0
    for tap in features.taps:
        for digest, row in zip(features.digests, features.X(tap), strict=True):
            count += ground.rows.get((spec_id, tap, digest)) != row.tobytes()
    return count


def picture_id(array: np.ndarray) -> str:
    """Return a digest of a picture as the network sees it."""
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()

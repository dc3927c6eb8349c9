"""Write scikit-learn's handwritten digits as a class folder of PNG files.

    python examples/write_digits.py build/demo/digits

1797 real scans of 8×8 pixels (UCI "Optical Recognition of Handwritten Digits", test part), in ten
folders. They ship with scikit-learn, so the demo's data is on every machine.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits


def write_digits(folder: Path) -> int:
    """Write all digits below `folder` and return how many there are."""
    digits = load_digits()
    for number, (pixels, label) in enumerate(zip(digits.images, digits.target, strict=True)):
        grey = np.rint(pixels * (255 / 16)).astype(np.uint8)  # the scans have 17 levels of ink
        path = folder / str(label) / f"{number:04d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(grey).save(path)
    return len(digits.images)


if __name__ == "__main__":
    target = Path(sys.argv[1])
    print(f"{write_digits(target)} digits in {target}")

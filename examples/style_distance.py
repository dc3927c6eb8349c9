"""Two halves of one photo share its style, not its content; two photos share neither.

    python examples/style_distance.py

Needs the extra ``packaged``; the photos are those scikit-learn ships.
"""

from __future__ import annotations

from sklearn.datasets import load_sample_image

import cutpoint as cp


def main() -> None:
    china, flower = load_sample_image("china.jpg"), load_sample_image("flower.jpg")
    left, right = china[:, :320], china[:, 320:]
    backbone = cp.load("packaged:efficientnet_lite0")
    layers = ["blocks.0", "blocks.1", "blocks.2", "blocks.4"]
    for name, other in (("its right half", right), ("a flower", flower)):
        print(f"Left half of a temple against {name}:")
        print(cp.style.image_distance(left, other, backbone, layers[-1:], layers), "\n")


if __name__ == "__main__":
    main()

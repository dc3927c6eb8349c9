"""What is taken for images where nobody says otherwise."""

from cutpoint.base.contracts import Defaults

DEFAULTS = Defaults(
    backbone="packaged:efficientnet_lite0",
    pools=("auto",),
    # Averages of the last two layers, each centred and with one scale of its own. Measured on
    # photos, 2 to 40 items per class: +0.7 points above the last alone on the mean of 36 cells and
    # −0.5 at worst, where all of nine lose up to 19 (docs/benchmarks/few-items.md).
    n_last_fused=2,
    floor="pixels",
)

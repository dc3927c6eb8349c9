"""What is taken for images where nobody says otherwise."""

from cutpoint.base.contracts import Defaults, Prior

DEFAULTS = Defaults(
    backbone="packaged:efficientnet_lite0",
    # Averages of the last two layers, each centred and with one scale of its own. Measured on
    # photos, 2 to 40 items per class: +0.7 points above the last alone on the mean of 36 cells and
    # −0.5 at worst, where all of nine lose up to 19 (docs/benchmarks/few-items.md). Tokens of a
    # transformer, which are also read at their class token, have the last layer.
    priors=(Prior("gap", 2, not_beside="cls"),),
    floor="pixels",
)

"""What is taken for texts where nobody says otherwise."""

from cutpoint.base.contracts import Defaults

DEFAULTS = Defaults(backbone="packaged:all_minilm_l6_v2", pools=("mean",))

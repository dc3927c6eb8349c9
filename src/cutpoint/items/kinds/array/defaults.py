"""What is taken for arrays where nobody says otherwise; no backbone is everybody's."""

from cutpoint.base.contracts import Defaults

DEFAULTS = Defaults()

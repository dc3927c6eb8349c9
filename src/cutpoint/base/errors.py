"""Every exception cutpoint raises.

::

    CutpointError
    ├── UsageError (ValueError)            an argument no run can serve; exit code 2
    │   ├── BackboneNotFound (LookupError)
    │   ├── TapNotFound (LookupError)
    │   ├── CutNotSeparable                more than one value crosses the cut
    │   ├── NoSuchAttribute (AttributeError)
    │   └── ShapeError
    ├── DataError (ValueError)             the data set as a whole can't be used
    │   ├── LeakageError                   rows would be scored by what they taught
    │   └── TooManyBadItems
    ├── ModalityError (TypeError)          images where text was expected, and the like
    ├── WeightsError (ValueError)          weights missing, changed or incomplete
    ├── MissingExtra (ImportError)         an optional dependency is not installed
    ├── StoreError (OSError)               the store can't be read or written
    │   └── StoreCorrupt                   bytes differ from their digest
    ├── PredictorError (ValueError)        a saved predictor can't be read
    └── BadItem (ValueError)               one item; caught and quarantined, never fatal alone

and one warning that stages and heads share: FewerThanAsked (UserWarning).
"""

from __future__ import annotations

import sys

from cutpoint.base.text import printable


class CutpointError(Exception):
    """Base of all errors: what is wrong, what there is, what would do, what to type next.

    Names in it may come from files, so each part is printed as one line.
    """

    def __init__(self, wrong: str, got: str, would_do: str, type_next: str) -> None:
        super().__init__(wrong, got, would_do, type_next)
        self.wrong, self.got, self.would_do, self.type_next = wrong, got, would_do, type_next

    def __str__(self) -> str:
        parts = (self.wrong, self.got, self.would_do, self.type_next)
        return "\n".join(map(printable, parts))


class UsageError(CutpointError, ValueError):
    """The call itself can't be served."""


class BackboneNotFound(UsageError, LookupError):
    """No source knows this backbone."""


class TapNotFound(UsageError, LookupError):
    """The backbone has no such layer, or it can't be a tap."""


class CutNotSeparable(UsageError):
    """What lies above a layer depends on the items by more than that layer's output."""


class NoSuchAttribute(UsageError, AttributeError):
    """An object has no such attribute, and what is meant is to be had elsewhere."""


class ShapeError(UsageError):
    """An array has the wrong shape."""


class DataError(CutpointError, ValueError):
    """The data set as a whole can't be used."""


class LeakageError(DataError):
    """Rows would be scored by a model that was fitted on them."""


class TooManyBadItems(DataError):
    """More items were quarantined than `max_bad` allows; `quarantined` lists them."""

    quarantined: tuple[tuple[str, str], ...] = ()


class ModalityError(CutpointError, TypeError):
    """The items are of another kind than the backbone reads."""


class WeightsError(CutpointError, ValueError):
    """Weights are missing, changed or do not fit the network."""


class MissingExtra(CutpointError, ImportError):
    """An optional dependency is not installed."""

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(
            f'{what} can\'t be used without the extra "{extra}".',
            f"That extra is not installed in {sys.prefix}.",
            "Any environment with that extra.",
            f'Install it with:  pip install "cutpoint-ml[{extra}]"',
        )


class StoreError(CutpointError, OSError):
    """The feature store can't be read or written."""


class StoreCorrupt(StoreError):
    """Stored bytes differ from their digest."""


class PredictorError(CutpointError, ValueError):
    """A saved predictor can't be read."""


class BadItem(ValueError):
    """One item can't be used; `reason` goes to ``bad_rows.csv`` and the run goes on."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class FewerThanAsked(UserWarning):
    """Rows or columns allow fewer than a transform names, and those are taken."""

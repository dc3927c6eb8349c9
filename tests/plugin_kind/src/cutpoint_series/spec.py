"""How a series becomes arrays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from cutpoint.base.types import InputSpec


@dataclass(frozen=True)
class SeriesSpec:
    """Centred, and filled up to `length` behind its end, with a mask that says where that is.

    Attributes
    ----------
    length : int
        Of what the network sees; longer series are bad items, nothing is cut off.
    """

    length: int

    kind = "series"
    decode = "exact"

    @property
    def inputs(self) -> dict[str, InputSpec]:
        return {
            "series": InputSpec((1, self.length)),
            "mask": InputSpec((self.length,), "int64", mask_of="series"),
        }

    def check(self) -> None:
        if type(self.length) is not int or self.length < 1:
            raise ValueError("length is a whole number, 1 or more")

    def to_json(self) -> dict[str, Any]:
        return {"kind": self.kind, **asdict(self)}

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> SeriesSpec:
        return cls(fields["length"])

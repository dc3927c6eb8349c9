"""How a predictor was made and how it scored."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any


@dataclass(frozen=True)
class Card:
    """What `fit` knows of a predictor; JSON types only. All is empty where `fit` did not make it.

    Attributes
    ----------
    data : str
        Name of the data set.
    counts : dict of split → int
        Items.
    backbone, feature_spec : str
        Its id, and the fingerprint of the features.
    precision : str
    precision_check : dict, optional
        What a precision below fp32 cost.
    layers : dict of layer → MACs
    ranking : dict, optional
        Every candidate with its evidence, and which was taken (`Ranking.to_json`).
    variance_kept : list of dict
    head : dict
        ``text``, as it is typed; ``chosen``, on rows left out; ``temperature`` of classes,
        ``thresholds`` of labels, ``margin`` of values; ``compared`` where several heads were.
    evaluation : dict, optional
        The score of the rows held out (`Evaluation.to_json`).
    hindsight : dict, optional
    floor : str
        What the same answer for every item scores on the rows held out.
    extraction : dict
        ``engine``, ``n_forward``, ``n_calibration``, ``n_stored``, ``seconds``.
    n_quarantined : int
    warnings : list of str
    store : str
        Where the features lie.
    finetune : dict, optional
        What was unfrozen, tried, taken and changed, and the history of the last run.
    """

    data: str = ""
    counts: dict[str, int] = field(default_factory=dict)
    backbone: str = ""
    feature_spec: str = ""
    precision: str = "fp32"
    precision_check: dict[str, Any] | None = None
    layers: dict[str, int | None] = field(default_factory=dict)
    ranking: dict[str, Any] | None = None
    variance_kept: list[Any] = field(default_factory=list)
    head: dict[str, Any] = field(default_factory=dict)
    evaluation: dict[str, Any] | None = None
    hindsight: dict[str, Any] | None = None
    floor: str = ""
    extraction: dict[str, Any] = field(default_factory=dict)
    n_quarantined: int = 0
    warnings: list[str] = field(default_factory=list)
    store: str = ""
    finetune: dict[str, Any] | None = None

    def to_json(self) -> dict[str, Any]:
        """Return it as saved: nothing of an empty one."""
        if self == Card():
            return {}
        found = {each.name: getattr(self, each.name) for each in fields(self)}
        if self.finetune is None:  # a field younger than the format
            del found["finetune"]
        return found

    @classmethod
    def from_json(cls, given: dict[str, Any]) -> Card:
        """Return the card of a saved predictor; what a later release added is passed over."""
        known = {each.name for each in fields(cls)}
        return cls(**{name: value for name, value in given.items() if name in known})

"""Published ways to fit and judge a head, by name; each with its source and what differs here."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, replace

import numpy as np

from cutpoint.base.errors import UsageError
from cutpoint.base.tongue import option
from cutpoint.learning.heads.knn import KS


@dataclass(frozen=True)
class Protocol:
    """How a head is chosen on training rows, and judged.

    Attributes
    ----------
    name : str
    head : {"logistic", "knn"}
    candidates : tuple of float
        C, or k, in the order they are tried; the first of equals is taken. Empty: the head's own.
    search : {"all", "peak", "own", "none"}
        Every candidate on validation rows; coarse steps and then halved ones around the peak; as
        the head chooses by itself, on rows left out; nothing to choose.
    held_share : float
        Share of the training rows that validate; the winner is refitted on all.
    n_learn, n_validate : int
        So many rows instead of a share, and no more; 0: all.
    n_draws, per_class : int
        Draws of so many rows per class, each with a head of its own; 1 and 0: all rows, once.
    seed : int
        Draws rows if no other is given.
    stage : str
        The aggregate that the recipe must have.
    does, differs, source : str
        For people: what is done; where this is not the source to the letter; where it was read.
    """

    name: str
    head: str
    candidates: tuple[float, ...]
    search: str
    does: str
    differs: str
    source: str
    held_share: float = 0.0
    n_learn: int = 0
    n_validate: int = 0
    n_draws: int = 1
    per_class: int = 0
    seed: int = 0
    stage: str = ""

    def lines(self) -> list[str]:
        """Return what it does, as text."""
        return [
            f"Protocol {self.name}: {self.does}",
            f"Differs from its source: {self.differs}",
            f"Source: {self.source}",
            "Whatever is chosen is chosen on training rows; the test rows are scored once.",
        ]


def _tuple(values: np.ndarray) -> tuple[float, ...]:
    return tuple(float(value) for value in values)


_CONVERGES = "fits run until they converge, not for a number of steps"

_ELEVATER = Protocol(
    name="elevater97",
    head="logistic",
    candidates=_tuple(np.logspace(-6, 6, 97)),
    search="peak",
    held_share=0.2,
    does="logistic regression; C from 97 values, 10⁻⁶ to 10⁶: seven coarse ones on a fifth of the "
    "rows, then 8, 4, 2, 1 steps to either side of the peak; refitted on all rows.",
    differs=f"{_CONVERGES}; the validation fifth is drawn here, as the data bring none.",
    source="the ELEVATER toolkit's classifier with scikit-learn's L-BFGS",
)

_ALL = (
    replace(
        _ELEVATER,
        name="clip96",
        differs=f"{_ELEVATER.differs} The search is as ELEVATER's code reads the paper.",
        source="arXiv 2103.00020, appendix A.3, as the ELEVATER toolkit's classifier cites it",
    ),
    _ELEVATER,
    Protocol(
        name="dinov2-45",
        head="logistic",
        candidates=_tuple(10 ** np.linspace(-6, 5, 45)),
        search="all",
        held_share=0.1,
        does="logistic regression; C from 45 values, 10⁻⁶ to 10⁵, all tried on a tenth of the "
        "rows; refitted on all rows.",
        differs=f"{_CONVERGES}; the tenth is drawn by NumPy.",
        source="facebookresearch/dinov2, dinov2/eval/log_regression.py",
    ),
    Protocol(
        name="ssl-transfer-45",
        head="logistic",
        candidates=_tuple(1.0 / np.logspace(-6, 5, 45)),
        search="all",
        held_share=0.2,
        does="logistic regression; λ = 1/C from 45 values, 10⁻⁶ to 10⁵, rising, all tried on a "
        "fifth of the rows; refitted on all rows.",
        differs=f"{_CONVERGES}; accuracy throughout, where the source has a mean over classes for "
        "some data sets.",
        source="linusericsson/ssl-transfer, linear.py",
    ),
    Protocol(
        name="vtab1k",
        head="logistic",
        candidates=_tuple(np.logspace(-4, 4, 17)),
        search="all",
        n_learn=800,
        n_validate=200,
        does="1000 rows: 800 to learn from and 200 from the 90 % mark on to choose C; refitted on "
        "the 1000; accuracy on the whole test split.",
        differs="it prescribes the rows, not the head: the head and its C are this package's. Rows "
        "are shuffled first, as folders are sorted.",
        source="google-research/task_adaptation, task_adaptation/data/caltech.py",
    ),
    Protocol(
        name="mteb",
        head="logistic",
        candidates=(1.0,),
        search="none",
        n_draws=10,
        per_class=8,
        seed=42,
        does="10 draws of 8 rows per class; logistic regression with C = 1 on each; mean accuracy.",
        differs=f"{_CONVERGES} (100 there).",
        source="embeddings-benchmark/mteb, mteb/abstasks/classification.py",
    ),
    Protocol(
        name="dinov2-knn",
        head="knn",
        candidates=_tuple(np.array(KS)),
        search="own",
        does="weighted vote of 10, 20, 100 or 200 neighbours by cosine at temperature 0.07.",
        differs="k is chosen by leaving training rows out; the source prints every k's score.",
        source="facebookresearch/dinov2, dinov2/eval/knn.py",
    ),
    Protocol(
        name="superb-wsum",
        head="logistic",
        candidates=(),
        search="own",
        stage="softmax",
        does="a linear head on the sum of all layers, weighted by a softmax that is learned from "
        "equal weights.",
        differs="weights and a linear head are learned together, as there; then the head is fitted "
        "anew with C by folds.",
        source="s3prl/s3prl, s3prl/upstream/interfaces.py",
    ),
)

PROTOCOLS: dict[str, Protocol] = {each.name: each for each in _ALL}
"""Name after ``--protocol`` → what it does."""


def find_protocol(name: str) -> Protocol:
    """Return the protocol of that name.

    Raises
    ------
    UsageError
        If there is none; all are listed.
    """
    if name not in PROTOCOLS:
        found = difflib.get_close_matches(name, PROTOCOLS, n=1)
        raise UsageError(
            f'There is no protocol "{name}".',
            f'Nearest: "{found[0]}".' if found else "None is near that name.",
            f"Protocols: {', '.join(PROTOCOLS)}.",
            f"Type, for example:  {option('protocol', 'dinov2-45')}",
        )
    return PROTOCOLS[name]

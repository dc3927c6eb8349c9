"""What is taken for texts where nobody says otherwise."""

from cutpoint.base.contracts import Defaults, HeadRule, Prior

LOGISTIC = "logistic(C=0.1:1:10:100:1000, tol=0.01)"
# Known before any of it was run here. Of all-MiniLM-L6-v2 with ridge, the last three blocks' means
# fused scored above the network's own embedding by 1.5 to 5.1 points on three data sets of 4, 4 and
# 150 classes, in 24 of 24 draws of 400 and 1,500 rows; of 100 rows by +2.2 and −0.3, and by −3.1
# with less than one row per class. A free choice among 33 ways to read it was a lottery below 200
# rows. Where classes are many and rows per class few, logistic scored 6 points above ridge; with
# two classes they were the same within noise. docs/benchmarks/text.md has what came of it.
DEFAULTS = Defaults(
    backbone="packaged:all_minilm_l6_v2",
    pools=("mean", "st"),
    priors=(Prior("st"), Prior("mean", 3, from_rows=3)),
    n_to_choose=200,
    heads=(
        HeadRule(LOGISTIC, from_classes=10),
        HeadRule(LOGISTIC, to_rows=16),
        HeadRule("ridge"),
    ),
    floor="tfidf",
)

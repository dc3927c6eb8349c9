"""Which head is fitted where none is named: by numbers of classes and rows, as the kind says."""

from __future__ import annotations

from cutpoint.base.contracts import HeadRule
from cutpoint.learning.choosing.prior_taps import kind_defaults
from cutpoint.learning.choosing.ranking_task import Task
from cutpoint.learning.heads import HEADS_OF


def usual_head(task: Task) -> tuple[str, str]:
    """Return the head for such a task, and why it is; no reason where the kind has but one."""
    rules = kind_defaults(task).heads
    known = [each for each in rules if _name(each) in HEADS_OF[task.targets.kind]]
    n_classes, n_rows = task.n_classes, task.rows_per_class
    rule = next((each for each in known if each.holds(n_classes, n_rows)), rules[-1])
    return rule.head, _why(rule, task) if len(rules) > 1 else ""


def _name(rule: HeadRule) -> str:
    return rule.head.partition("(")[0]


def _why(rule: HeadRule, task: Task) -> str:
    if not task.n_classes:
        return f"labels are {task.targets.kind}"
    if rule.from_classes:
        return f"{task.n_classes} classes, {rule.from_classes} or more"
    each = f"{task.rows_per_class:.3g} training rows per class"
    return (
        f"{each}, {rule.to_rows:g} at most"
        if rule.to_rows < float("inf")
        else (f"{task.n_classes} classes with {each}")
    )

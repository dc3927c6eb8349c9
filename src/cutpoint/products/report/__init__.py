"""One self-contained HTML file: scores, plots, candidates, mistakes, what to repeat."""

from cutpoint.products.report.page import (
    ReportInputs,
    require_report,
    write_choice_plot,
    write_report,
)

__all__ = ["ReportInputs", "require_report", "write_choice_plot", "write_report"]

"""Networks: see docs/design.md."""

"""Products: see docs/design.md."""

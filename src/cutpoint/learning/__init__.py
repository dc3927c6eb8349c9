"""Learning: see docs/design.md."""

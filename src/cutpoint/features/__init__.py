"""Features: see docs/design.md."""

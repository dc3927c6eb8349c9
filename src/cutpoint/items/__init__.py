"""Items: see docs/design.md."""

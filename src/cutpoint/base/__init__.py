"""Base: see docs/design.md."""

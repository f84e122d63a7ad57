"""All images of a model's units by one command: `python -m visualizations` (docs/units.md)."""

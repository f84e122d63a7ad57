"""A static site of a model's unit images, for any browser: `python -m caffevis.gallery`."""

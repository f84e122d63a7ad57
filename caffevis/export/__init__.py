"""Pictures of a folder of photos, as the window shows them: `python -m caffevis.export`."""

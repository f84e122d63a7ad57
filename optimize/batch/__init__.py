"""Many images: in come units and layers, out files, computed here or on a Dask cluster."""

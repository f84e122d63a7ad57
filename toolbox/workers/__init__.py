"""Slow work away from the caller, in threads and on Dask: in go requests, out come results."""

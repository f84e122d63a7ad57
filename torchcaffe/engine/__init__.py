"""Nets that compute: in come a definition and weights, out values forward and diffs backward."""

"""A scan in words and charts: in come its totals, out a summary, histograms and lists."""

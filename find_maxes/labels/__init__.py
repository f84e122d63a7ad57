"""What units answer to, in words: in come maxima and classes, out labels, quantiles and a table."""

"""A data set: in come a folder and a list, out batches of photos as a net's input."""

"""One pass over the photos: in come a net and its inputs, out the top N photos of every unit."""

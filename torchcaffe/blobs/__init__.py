"""Arrays of a net: in come shapes and fillers, out blobs with data and diff."""

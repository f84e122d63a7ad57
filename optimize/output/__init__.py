"""Results as files: in come images and numbers, out pictures, JSON and arrays."""

"""Pictures as arrays: in come files or arrays, out RGB pictures of 8 bits, cropped and resized."""

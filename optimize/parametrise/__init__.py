"""How an image is held while it is optimised: as pixels, a Fourier series, or phases alone."""

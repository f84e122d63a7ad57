"""What keeps an image near photos: in comes the image after a step, out the one for the next."""

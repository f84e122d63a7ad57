"""What can go wrong while a gallery is made."""


class GalleryError(Exception):
    """No gallery can be made; the message is one sentence for the user."""


def reason(error: OSError) -> str:
    """Return what the system says, in lower case."""
    return (error.strerror or type(error).__name__).lower()

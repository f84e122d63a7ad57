"""What can go wrong with an export."""


class ExportError(Exception):
    """Something that was asked for does not fit; the message is one sentence for the user."""

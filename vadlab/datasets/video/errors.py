"""What is wrong with a file, apart from what is wrong with an annotation."""

from ...utils.errors import DataError


class DamagedVideoError(DataError):
    """A file that exists and is not a video that can be decoded. Datasets may skip it, within their limit."""

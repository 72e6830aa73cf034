"""Errors of video files, as opposed to errors of annotations."""

from ...utils.errors import DataError


class DamagedVideoError(DataError):
    """A file exists but cannot be decoded as a video. Data sets may skip it, up to their limit."""

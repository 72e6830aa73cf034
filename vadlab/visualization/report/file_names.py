"""File names made from names of videos, images and clips."""

import re
import zlib

#: Record of a report in its folder.
REPORT_FILE = 'report.json'
#: End of the names of overlay videos.
OVERLAY_ENDING = '.scored.mp4'


def safe_name(name: str) -> str:
    """A unique file name without an ending, valid on every file system.

    A name of letters, digits, dots, underscores and hyphens is kept; any other gets a hash of itself.
    """
    safe = re.sub(r'[^A-Za-z0-9._-]+', '_', name).strip('._')[:100]
    if not safe or safe != name:
        safe = f'{safe or "video"}-{zlib.crc32(name.encode(errors="surrogateescape")):08x}'
    return safe


def picture_name(name: str) -> str:
    """A unique file name for a sample's picture, valid on every file system."""
    return f'{safe_name(name)}.png'

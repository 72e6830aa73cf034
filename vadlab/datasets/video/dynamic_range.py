"""Pictures of high dynamic range video (PQ, HLG), mapped to the standard range that models and screens expect.

Without the mapping they are pale: the white of a page (203 cd/m2, ITU-R BT.2408) has the grey level 147 in PQ. FFmpeg's
swscale maps transfer, gamut and range to sRGB. It needs about 3 seconds for the tables of a size, and then a
millisecond per frame; so the converters of a thread are kept.
"""

import threading
from collections import OrderedDict
from typing import Any

from av.video.reformatter import ColorPrimaries, ColorTrc, VideoReformatter

_HIGH_RANGE = (ColorTrc.SMPTE2084, ColorTrc.ARIB_STD_B67)  # the transfer functions of ITU-R BT.2100
_TO_STANDARD = dict(dst_color_trc=ColorTrc.IEC61966_2_1, dst_color_primaries=ColorPrimaries.BT709)
_MOST_KEPT = 4
_OF_THREAD = threading.local()


def has_high_range(frame: Any) -> bool:
    """Whether a decoded frame (``av.VideoFrame``) has high dynamic range."""
    return frame.color_trc in _HIGH_RANGE


def to_rgb(frame: Any, width: int, height: int, interpolation: str, reformatter: VideoReformatter) -> Any:
    """A decoded frame as RGB, high dynamic range as sRGB.

    It is converted in the calling thread: for small pictures, swscale's own threads cost as much as the work.

    Args:
        frame (av.VideoFrame): The frame.
        width (int): Width of the result, in pixels.
        height (int): Its height, in pixels.
        interpolation (str): A swscale method, such as ``bicubic``.
        reformatter (VideoReformatter): Reused from frame to frame; not used for high dynamic range.

    Returns:
        av.VideoFrame: The picture, rgb24.
    """
    how: dict[str, Any] = {}
    if has_high_range(frame):
        reformatter, how = _kept(frame.width, frame.height, width, height, interpolation), _TO_STANDARD
    return reformatter.reformat(frame, width, height, 'rgb24', interpolation=interpolation.upper(), threads=1, **how)


def _kept(*sizes: Any) -> VideoReformatter:
    """The converter of this thread for some sizes."""
    kept: OrderedDict[Any, VideoReformatter] = _OF_THREAD.__dict__.setdefault('converters', OrderedDict())
    found = kept.pop(sizes) if sizes in kept else VideoReformatter()
    kept[sizes] = found
    if len(kept) > _MOST_KEPT:
        kept.popitem(last=False)
    return found

"""Videos that a player shows turned, mirrored, or with pixels that are not square."""

import struct
from fractions import Fraction
from itertools import product

import av
import numpy as np

#: Display matrix (a, b, c, d) of each way in which a camera is held, and what NumPy does to the stored picture.
TURNS = {
    'upright': ((1, 0, 0, 1), lambda x: x),
    'rot90': ((0, 1, -1, 0), lambda x: np.rot90(x, -1)),
    'rot180': ((-1, 0, 0, -1), lambda x: np.rot90(x, 2)),
    'rot270': ((0, -1, 1, 0), lambda x: np.rot90(x, 1)),
    'mirror': ((-1, 0, 0, 1), np.fliplr),
    'mirror_rot90': ((0, 1, 1, 0), lambda x: np.rot90(np.fliplr(x), 1)),
    'mirror_rot180': ((1, 0, 0, -1), np.flipud),
    'mirror_rot270': ((0, -1, -1, 0), lambda x: np.rot90(np.fliplr(x), -1)),
}


def turn_mp4(path, matrix):
    """Write a display matrix (a, b, c, d) into the header of an mp4's track."""
    a, b, c, d = (round(value * 65536) for value in matrix)
    content = bytearray(path.read_bytes())
    struct.pack_into('>9i', content, content.index(b'tkhd') + 44, a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(content)
    return path


def lopsided_picture(height=64, width=96):
    """A picture that equals none of its turned or mirrored forms: four corners of different colours."""
    picture = np.full((height, width, 3), 128, np.uint8)
    colours = [(230, 30, 30), (30, 230, 30), (30, 30, 230), (230, 230, 30)]
    for (row, column), colour in zip(product((0, 1), repeat=2), colours, strict=True):
        picture[row * height // 2 :, column * width // 2 :][: height // 2, : width // 2] = colour
    return picture


def write_lopsided(path, count=6, aspect=None, matrix=None, picture=None):
    """A video of :func:`lopsided_picture`, with pixels of ``aspect`` (width by height)."""
    picture = lopsided_picture() if picture is None else picture
    with av.open(str(path), 'w') as out:
        stream = out.add_stream('libx264', rate=10)
        stream.height, stream.width = picture.shape[:2]
        stream.pix_fmt = 'yuv420p'
        stream.codec_context.thread_count = 1
        if aspect is not None:
            stream.codec_context.sample_aspect_ratio = Fraction(aspect)
        for i in range(count):
            frame = av.VideoFrame.from_ndarray(picture, format='rgb24')
            frame.pts, frame.time_base = i, Fraction(1, 10)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path if matrix is None else turn_mp4(path, matrix)

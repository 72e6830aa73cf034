"""Files that are no videos, or claim what they do not hold."""

import struct
import zlib
from fractions import Fraction

import av
import numpy as np
from PIL import Image


def box(kind, *parts):
    """A box of an MP4 file."""
    content = b''.join(parts)
    return struct.pack('>I', 8 + len(content)) + kind + content


def write_gif(path):
    frames = [Image.fromarray(np.full((8, 8, 3), 40 * i, np.uint8)) for i in range(4)]
    frames[0].save(path, format='GIF', save_all=True, append_images=frames[1:])
    return path


def write_spread(path, times_s, picture=(16, 16)):
    """A video whose frames have the given times."""
    with av.open(str(path), 'w', format='mp4') as out:
        stream = out.add_stream('libx264', rate=30, options={'preset': 'ultrafast'})
        stream.width, stream.height, stream.pix_fmt = picture[1], picture[0], 'yuv420p'
        stream.codec_context.thread_count = 1
        stream.codec_context.time_base = stream.time_base = Fraction(1, 1000)
        for time_s in times_s:
            frame = av.VideoFrame.from_ndarray(np.zeros((*picture, 3), np.uint8), format='rgb24')
            frame.pts, frame.time_base = round(time_s * 1000), Fraction(1, 1000)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


def write_with_claimed_length(path, video, hours):
    """A copy of an MP4 file whose headers claim another length."""
    content = bytearray(video.read_bytes())
    for kind, skipped in ((b'mvhd', 0), (b'mdhd', 0)):
        at = content.index(kind) + 4 + 4 + 8 + skipped
        (scale,) = struct.unpack_from('>I', content, at)
        struct.pack_into('>I', content, at + 4, int(hours * 3600 * scale))
    path.write_bytes(content)
    return path


def write_with_claimed_samples(path, video, count):
    """A copy of an MP4 file whose table of sizes claims ``count`` frames of one size."""
    content = bytearray(video.read_bytes())
    at = content.index(b'stsz') + 4 + 4
    struct.pack_into('>II', content, at, 1, count)
    path.write_bytes(content)
    return path


def write_compressed_header(path, size):
    """An MP4 file with a compressed header of zeros that unpacks to ``size`` bytes."""
    packed = zlib.compressobj(9)
    part = b''.join([*(packed.compress(bytes(2**20)) for _ in range(min(size // 2**20, 1024))), packed.flush()])
    header = box(b'cmov', box(b'dcom', b'zlib'), box(b'cmvd', struct.pack('>I', size & 0xFFFFFFFF), part))
    path.write_bytes(box(b'ftyp', b'isom', bytes(4), b'isom') + box(b'moov', header))
    return path


_NESTED = (b'moov', b'trak', b'mdia', b'minf', b'stbl')


def _rebuilt(content, replaced):
    """The boxes of an MP4 file with other contents of some of them."""
    out, at = b'', 0
    while at < len(content):
        (size,) = struct.unpack_from('>I', content, at)
        kind, inside = content[at + 4 : at + 8], content[at + 8 : at + size]
        if kind in replaced:
            inside = replaced[kind]
        elif kind in _NESTED:
            inside = _rebuilt(inside, replaced)
        out += box(kind, inside)
        at += size
    return out


def write_repeated_frame(path, video, count, size):
    """An MP4 file of ``size`` bytes whose ``count`` frames are all the whole file: ``count`` times as much to read."""
    tables = {
        b'stts': struct.pack('>IIII', 0, 1, count, 512),
        b'stsz': struct.pack('>III', 0, size, count),
        b'stsc': struct.pack('>IIIII', 0, 1, 1, 1, 1),
        b'stco': struct.pack('>II', 0, count) + bytes(4 * count),
        b'stss': struct.pack('>II', 0, 0),
        b'ctts': struct.pack('>II', 0, 0),
    }
    content = _rebuilt(video.read_bytes(), tables)
    path.write_bytes(content + box(b'free', bytes(max(size - len(content), 0))))
    return path

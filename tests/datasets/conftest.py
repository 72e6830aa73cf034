"""Small videos with every frame's number drawn into it, and annotations around them."""

import json
import struct
from fractions import Fraction

import av
import numpy as np
import pytest

WIDTH, HEIGHT, FIELD = 128, 96, 32


def number_picture(number):
    """A picture with ``number`` (0..511) as nine black or white fields; coarse enough for any codec and size."""
    picture = np.empty((HEIGHT, WIDTH, 3), np.uint8)
    for bit in range(12):
        row, column = divmod(bit, 4)
        value = 225 if number >> bit & 1 else 30
        picture[row * FIELD : (row + 1) * FIELD, column * FIELD : (column + 1) * FIELD] = value
    return picture


def read_number(frame):
    """The number in a frame of any size."""
    height, width = frame.shape[:2]
    number = 0
    for bit in range(12):
        row, column = divmod(bit, 4)
        y, x = int((row + 0.5) * height / 3), int((column + 0.5) * width / 4)
        number |= int(frame[y - 1 : y + 2, x - 1 : x + 2].mean() > 128) << bit
    return number


def _write_video(path, count=60, codec='libx264', gop=250, b_frames=None, times=None, options=None, **container):
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), 'w', options=container) as out:
        stream = out.add_stream(codec, rate=30, options=options or {})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, 'yuv420p'
        stream.codec_context.gop_size = gop
        stream.codec_context.thread_count = 1
        if b_frames is not None:
            stream.codec_context.max_b_frames = b_frames
        for i in range(count):
            frame = av.VideoFrame.from_ndarray(number_picture(i), format='rgb24')
            frame.pts, frame.time_base = (times[i] if times else i), Fraction(1, 30)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


def _hide_beginning(path, n_hidden, count):
    """Rewrite the single entry of an mp4's edit list so that its first frames are not shown."""
    content = bytearray(path.read_bytes())
    place, header = content.find(b'elst'), content.find(b'mdhd')
    assert place > 0
    assert header > 0
    (scale,) = struct.unpack_from('>I', content, header + 16)
    duration, start = struct.unpack_from('>Ii', content, place + 12)
    new = duration * (count - n_hidden) // count, start + n_hidden * scale // 30
    struct.pack_into('>Ii', content, place + 12, *new)
    path.write_bytes(content)


@pytest.fixture(scope='session')
def write_video():
    return _write_video


@pytest.fixture(scope='session')
def hide_beginning():
    return _hide_beginning


@pytest.fixture(scope='session')
def numbers_in():
    return lambda frames: [read_number(frame) for frame in frames]


@pytest.fixture
def region():
    """Shown in frames 10..20 and 30..40; moves by 0.01 a frame in the first span."""
    return {
        'caption': 'a man in red',
        'start_frame': 0,
        'end_frame': 59,
        'keyframes': [
            {'frame': 10, 'bbox': [0.1, 0.2, 0.5, 0.6], 'enabled': True},
            {'frame': 20, 'bbox': [0.2, 0.2, 0.6, 0.6], 'enabled': False},
            {'frame': 30, 'bbox': [0.5, 0.5, 0.9, 0.9], 'enabled': True},
            {'frame': 40, 'bbox': [0.5, 0.5, 0.9, 0.9], 'enabled': False},
        ],
    }


@pytest.fixture
def make_record(region):
    def make(f_path='UCF_Crimes_Videos/Abuse001_x264.mp4', regions=None, **changes):
        record = {'f_path': f_path, 'global_caption': 'Two men fight.', 'bbox_info': [region]}
        if regions is not None:
            record['bbox_info'] = regions
        return {**record, **changes}

    return make


@pytest.fixture(scope='session')
def two_videos(tmp_path_factory):
    """A data root with an abusive and a normal video of 60 frames, not where annotations say. Read only."""
    root = tmp_path_factory.mktemp('ucf_crime')
    _write_video(root / 'Videos' / 'Abuse' / 'Abuse001_x264.mp4', gop=12)
    _write_video(root / 'Videos' / 'Training_Normal_Videos_Anomaly' / 'Normal_Videos001_x264.mp4', gop=12)
    return root


@pytest.fixture
def write_json(tmp_path):
    def write(content, name='annotations.json'):
        path = tmp_path / name
        path.write_text(json.dumps(content), encoding='utf-8')
        return str(path)

    return write


@pytest.fixture
def log_lines(monkeypatch):
    """Everything that VADLab says at level INFO and above during a test."""
    from mmengine.logging import MMLogger

    lines = []
    logger = MMLogger.get_current_instance()
    monkeypatch.setattr(logger, 'info', lambda message, *rest, **more: lines.append(str(message)))
    monkeypatch.setattr(logger, 'warning', lambda message, *rest, **more: lines.append(str(message)))
    monkeypatch.setattr(logger, 'log', lambda level, message, *rest: level >= 20 and lines.append(str(message)))
    return lines

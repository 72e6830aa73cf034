"""Files with changed bytes: an index has the frames of the undamaged file, or the file is refused."""

from fractions import Fraction

import av
import numpy as np
import pytest

from vadlab.datasets.video.errors import DamagedVideoError
from vadlab.datasets.video.video_index import index_video

COUNT = 60
KINDS = {'a.mkv': 'libx264', 'a.avi': 'mpeg4', 'a.ts': 'libx264', 'a.mp4': 'libx264', 'b.ts': 'mpeg2video'}


def _zero(content, start, stop, generator):
    return content[:start] + bytes(stop - start) + content[stop:]


def _noise(content, start, stop, generator):
    return content[:start] + generator.bytes(stop - start) + content[stop:]


def _hole(content, start, stop, generator):
    return content[:start] + content[stop:]


def _cut(content, start, stop, generator):
    return content[:start]


def _write(path, codec, sound=None):
    """A video of noise, whose frames have a few kB each, and a tone."""
    generator = np.random.default_rng(1)
    with av.open(str(path), 'w') as out:
        stream = out.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt, stream.codec_context.gop_size = 64, 48, 'yuv420p', 12
        stream.codec_context.thread_count = 1
        audio = out.add_stream(sound, rate=8000, layout='mono') if sound else None
        for number in range(COUNT):
            picture = generator.integers(0, 256, (48, 64, 3), np.uint8)
            frame = av.VideoFrame.from_ndarray(picture, format='rgb24')
            frame.pts, frame.time_base = number, Fraction(1, 25)
            out.mux(stream.encode(frame))
            if audio:
                tone = av.AudioFrame.from_ndarray(np.zeros((1, 320), np.int16), format='s16', layout='mono')
                tone.sample_rate, tone.pts, tone.time_base = 8000, number * 320, Fraction(1, 8000)
                out.mux(audio.encode(tone))
        out.mux(stream.encode(None))
        if audio:
            out.mux(audio.encode(None))
    return path


@pytest.fixture(scope='module')
def undamaged(tmp_path_factory):
    folder = tmp_path_factory.mktemp('undamaged')
    return {name: _write(folder / name, codec).read_bytes() for name, codec in KINDS.items()}


@pytest.mark.parametrize('name', KINDS)
@pytest.mark.parametrize('change', [_zero, _noise, _hole, _cut])
def test_a_damaged_file_is_never_a_shorter_video(name, change, undamaged, tmp_path):
    generator = np.random.default_rng(3)
    content, refused = undamaged[name], []
    for trial in range(8):
        start = int(generator.integers(len(content) // 10, len(content) * 9 // 10))
        path = tmp_path / f'{trial}_{name}'
        path.write_bytes(change(content, start, start + 5001, generator))
        try:
            assert index_video(str(path)).total_frames == COUNT
        except DamagedVideoError as error:
            refused.append(str(error))
    assert all(name in message for message in refused)
    assert len(refused) >= (0 if name == 'a.mp4' and change in (_zero, _noise) else 8)


@pytest.mark.parametrize('name', KINDS)
def test_an_undamaged_file_with_sound_is_read(name, tmp_path):
    path = _write(tmp_path / name, KINDS[name], 'aac' if name.endswith(('mp4', 'ts')) else 'pcm_s16le')
    assert index_video(str(path)).total_frames == COUNT


def test_an_avi_file_with_empty_packets_is_read(tmp_path):
    """FFmpeg writes an empty packet for each picture that is shown for longer."""
    path = tmp_path / 'a.avi'
    with av.open(str(path), 'w') as out:
        stream = out.add_stream('mpeg4', rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, 'yuv420p'
        for number in range(20):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), number, np.uint8), format='rgb24')
            frame.pts, frame.time_base = number + 30 * (number > 9), Fraction(1, 25)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    with av.open(str(path)) as file:
        assert file.streams.video[0].frames == 50
    assert index_video(str(path)).total_frames == 20


@pytest.mark.parametrize(('step', 'before'), [(188, 0), (188, 100), (192, 4), (204, 0)])
def test_packets_of_transport_streams_of_each_size_are_checked(step, before, undamaged, tmp_path):
    content = undamaged['a.ts']
    packets = [content[i : i + 188] for i in range(0, len(content), 188)]
    if step == 192:  # a time code is in front of each packet
        changed = b''.join(bytes(4) + packet for packet in packets)
    else:
        changed = bytes(before) + b''.join(packet + bytes(step - 188) for packet in packets)
    path = tmp_path / 'a.ts'
    path.write_bytes(changed)
    assert index_video(str(path)).total_frames == COUNT
    path.write_bytes(changed[:-50])
    left = 204 - 50 if step == 204 else 188 - 50
    with pytest.raises(DamagedVideoError, match=rf'cut short \(its last packet has {left} bytes of {step}\)'):
        index_video(str(path))

"""Videos, sound and images that were changed at random: a result, or one error that names the file."""

import time

import cv2
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from vadlab.datasets.audio.audio_reader import read_audio
from vadlab.datasets.formats.av_clip_recipe import FrameRecipe, plan_av_clip
from vadlab.datasets.video import DamagedVideoError, index_video, read_frames
from vadlab.datasets.video.image_reader import read_image
from vadlab.utils.errors import VADLabError

from .conftest import _write_video
from .turned_videos import TURNS, lopsided_picture, turn_mp4, write_lopsided
from .wildlife_clips import tone, write_clip, write_wav

LIMIT_S = 10
VIDEOS = ('a.mp4', 'b.mkv', 'c.mov', 'd.avi', 'e.ts', 'f.mp4', 'g.avi', 'h.webm', 'i.mkv')
SOUNDS = ('s.wav', 'a.mp4', 'b.mkv', 'd.avi', 'e.ts')
IMAGES = ('p.png', 'q.jpg', 'r.webp', 's.tif', 't.bmp')


@pytest.fixture(scope='module')
def whole(tmp_path_factory):
    """The bytes of good files of every kind."""
    folder = tmp_path_factory.mktemp('whole')
    sound = np.stack([tone(0.8), -tone(0.8)], axis=1)
    for name in ('a.mp4', 'b.mkv', 'c.mov', 'd.avi', 'e.ts'):
        write_clip(folder / name, 8, sound, codec='aac' if name in ('a.mp4', 'e.ts') else 'pcm_s16le')
    turn_mp4(_write_video(folder / 'f.mp4', 12, gop=5, b_frames=2), TURNS['rot90'][0])
    _write_video(folder / 'g.avi', 12, codec='mpeg4', gop=5)
    _write_video(folder / 'h.webm', 8, codec='libvpx-vp9', gop=5, options={'deadline': 'realtime', 'cpu-used': '8'})
    write_lopsided(folder / 'i.mkv', aspect='2')
    write_wav(folder / 's.wav', sound * 30000)
    for name in IMAGES:
        cv2.imwrite(str(folder / name), lopsided_picture())
    return {path.name: path.read_bytes() for path in folder.iterdir()}


# A place (a share of the header or of the whole file), what is done there, and with which bytes.
EDITS = st.lists(
    st.tuples(
        st.booleans(),
        st.floats(0, 1),
        st.sampled_from(['flip', 'put', 'insert', 'delete', 'cut']),
        st.sampled_from([b'\0' * 4, b'\xff' * 4, b'\x7f\xff\xff\xff', b'\xff\xff\xff\x7f', b'\x80\0\0\0', b'\0' * 64]),
    ),
    min_size=1,
    max_size=8,
)


def mutated(content, edits):
    content = bytearray(content)
    for in_header, share, kind, value in edits:
        place = int(share * (min(len(content), 1500) if in_header else len(content)))
        if kind == 'flip' and content:
            content[min(place, len(content) - 1)] ^= 1 << len(value) % 7
        elif kind == 'put':
            content[place : place + len(value)] = value
        elif kind == 'insert':
            content[place:place] = value
        elif kind == 'delete':
            del content[place : place + len(value)]
        elif not in_header:
            del content[place:]
    return bytes(content)


def holds(path, content, read):
    """Whether reading ends in time, with a result or with one error of ours that names the file."""
    path.write_bytes(content)
    started = time.monotonic()
    message = path.name
    try:
        read(str(path))
    except VADLabError as error:
        message = str(error)
    assert path.name in message
    assert '\n' not in message
    assert time.monotonic() - started < LIMIT_S


def look_at_video(path, backend='auto'):
    index = index_video(path, remember=False)
    total = index.total_frames
    frames = read_frames(index, np.unique([0, total // 2, total - 1]), (24, 32), backend)
    assert frames.shape[1:] == (24, 32, 3)
    assert index.duration_s > 0
    assert (np.diff(index.frame_times) >= 0).all()
    plan_av_clip(index, FrameRecipe(4, fps=2.0))


@pytest.mark.parametrize('name', VIDEOS)
@given(edits=EDITS)
@settings(deadline=None)
def test_videos(whole, tmp_path_factory, name, edits):
    holds(tmp_path_factory.mktemp('m') / f'x{name}', mutated(whole[name], edits), look_at_video)


@pytest.mark.parametrize('name', ['a.mp4', 'g.avi', 'i.mkv'])
@given(edits=EDITS)
@settings(deadline=None)
def test_videos_by_opencv(whole, tmp_path_factory, name, edits):
    path = tmp_path_factory.mktemp('m') / f'x{name}'
    holds(path, mutated(whole[name], edits), lambda path: look_at_video(path, 'opencv'))


@pytest.mark.parametrize('name', SOUNDS)
@given(edits=EDITS, part=st.booleans())
@settings(deadline=None)
def test_sound(whole, tmp_path_factory, name, edits, part):
    span = (0.3, 0.6) if part else (0.0, None)
    path = tmp_path_factory.mktemp('m') / f'x{name}'
    holds(path, mutated(whole[name], edits), lambda path: read_audio(path, 16000, *span))


@pytest.mark.parametrize('name', IMAGES)
@given(edits=EDITS)
@settings(deadline=None)
@example(edits=[(True, 24 / 1500, 'put', b'\0' * 4)])
def test_images(whole, tmp_path_factory, name, edits):
    holds(tmp_path_factory.mktemp('m') / f'x{name}', mutated(whole[name], edits), read_image)


def test_a_png_with_a_chunk_of_four_gigabytes_is_refused(whole, tmp_path):
    content = bytearray(whole['p.png'])
    place = content.index(b'IDAT') - 4
    content[place : place + 4] = b'\xff\xff\xff\x01'
    started = time.monotonic()
    holds(tmp_path / 'x.png', bytes(content), read_image)
    assert time.monotonic() - started < LIMIT_S


@pytest.mark.parametrize('read', [index_video, lambda path: read_audio(path, 16000)])
def test_a_codec_that_nobody_knows(whole, tmp_path, read):
    """Without a decoder PyAV has no codec context at all."""
    content = whole['d.avi'].replace(b'H264', b'\x01\x02\x03\x04').replace(b'h264', b'\x01\x02\x03\x04')
    # The format of the sound, a number of two bytes at the beginning of its header.
    place = content.rindex(b'strf') + 8
    content = content[:place] + b'\xf3\xf3' + content[place + 2 :]
    (tmp_path / 'x.avi').write_bytes(content)
    with pytest.raises(DamagedVideoError, match=r'x\.avi: FFmpeg does not know the codec of its (video|audio) stream'):
        read(str(tmp_path / 'x.avi'))


def test_a_tag_that_is_no_utf8_is_no_reason_to_refuse_a_video(whole, tmp_path, numbers_in):
    content = whole['b.mkv'].replace(b'00:00:00.', b'\x97\x98\xff\xfe0000.')  # the tag DURATION of each stream
    assert content != whole['b.mkv']
    (tmp_path / 'x.mkv').write_bytes(content)
    assert numbers_in(read_frames(str(tmp_path / 'x.mkv'), np.arange(8))) == list(range(8))
    assert read_audio(str(tmp_path / 'x.mkv'), 16000) is not None

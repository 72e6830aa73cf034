from fractions import Fraction

import av
import numpy as np
import pytest

from tests.datasets.conftest import read_number
from tests.datasets.turned_videos import lopsided_picture, write_lopsided
from tests.file_size_limit import files_of_at_most
from vadlab.datasets.video import index_video, read_frames
from vadlab.datasets.video.deinterlace import is_interlaced
from vadlab.datasets.video.errors import DamagedVideoError
from vadlab.visualization.report.web_video import write_web_video

from .results import write_video

EVEN = (np.arange(24) / 25).tolist()
UNEVEN = np.cumsum([0, *([0.04, 0.02, 0.1, 0.031] * 6)]).round(3).tolist()


def streams_of(path):
    with av.open(str(path)) as file:
        return {stream.type: stream.codec_context.name for stream in file.streams}


def check_frames(target, times):
    """Every frame is there, with its own picture, at its own time."""
    index = index_video(str(target))
    assert index.total_frames == len(times)
    numbers = [read_number(frame) for frame in read_frames(index, np.arange(len(times)))]
    assert numbers == list(range(len(times)))
    assert np.abs(index.frame_times - np.subtract(times, times[0])).max() < 2e-5
    assert index.packet_pts[index.packet_of_frame[0]] == 0


@pytest.mark.parametrize(
    ('file', 'options', 'how'),
    [
        ('plain.mp4', {}, 'copied'),
        ('sound.mp4', {'sound': 'aac'}, 'copied'),
        ('other_sound.mp4', {'sound': 'ac3'}, 'remuxed'),
        ('plain.mkv', {}, 'remuxed'),
        ('sound.mkv', {'sound': 'aac'}, 'remuxed'),
        ('late.mkv', {'shift': 1.5}, 'remuxed'),
        ('ten_bit.mp4', {'pix_fmt': 'yuv420p10le'}, 'encoded'),
        ('colours.mp4', {'pix_fmt': 'yuv444p'}, 'encoded'),
        ('old.avi', {'codec': 'mpeg4'}, 'encoded'),
        ('old_sound.avi', {'codec': 'mpeg4', 'sound': 'mp3'}, 'encoded'),
    ],
)
@pytest.mark.parametrize('times', [EVEN, UNEVEN], ids=['constant', 'variable'])
def test_each_frame_keeps_its_number_and_time(tmp_path, file, options, how, times):
    is_avi = file.endswith('.avi')
    source = write_video(tmp_path / file, (np.arange(24) / 30).tolist() if is_avi else times, **options)
    if is_avi:  # a frame's time is its place among the chunks, of which some are empty
        with av.open(str(source)) as container:
            times = [packet.pts / 30 for packet in container.demux(video=0) if packet.size]
    target = tmp_path / 'web' / 'out.mp4'
    found = write_web_video(str(source), target, index_video(str(source)).frame_times)
    assert found == how
    assert streams_of(target).get('video') == 'h264'
    sound = {'aac': 'aac', 'ac3': 'aac', 'mp3': 'aac'}.get(options.get('sound'))
    assert streams_of(target).get('audio') == sound
    check_frames(target, times)
    assert (how == 'copied') == (target.read_bytes() == source.read_bytes())
    assert [path.name for path in target.parent.iterdir()] == ['out.mp4']


def write_interlaced(path, times, codec='libx264'):
    """A bright bar that moves 4 pixels per field. The bottom field comes first, as the encoders mark it."""
    with av.open(str(path), 'w') as out:
        options = {'x264-params': 'bff=1:bframes=0'} if codec == 'libx264' else {'flags': '+ildct+ilme'}
        stream = out.add_stream(codec, rate=25, options=options)
        stream.height, stream.width, stream.pix_fmt = 64, 192, 'yuv420p'
        if codec == 'mpeg2video':
            stream.bit_rate = 4_000_000
        for number, time_s in enumerate(times):
            picture = np.full((64, 192, 3), 40, np.uint8)
            for field in (0, 1):
                left = 4 * (2 * number + 1 - field)
                picture[field::2, left : left + 16] = 220
            frame = av.VideoFrame.from_ndarray(picture, format='rgb24')
            frame.pts, frame.time_base = round(time_s * 25), Fraction(1, 25)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


def combs(frames):
    """Mean difference of neighbouring rows that is not there between rows of one field."""
    frames = frames.astype(int).mean(3)
    return float(np.abs(np.diff(frames, axis=1)).mean() - np.abs(frames[:, 2:] - frames[:, :-2]).mean())


@pytest.mark.parametrize(
    ('name', 'codec', 'count'),
    [
        ('a.mp4', 'libx264', 20),
        ('a.mkv', 'libx264', 20),
        ('a.ts', 'mpeg2video', 20),
        ('a.mp4', 'libx264', 1),
        ('a.mkv', 'libx264', 2),
    ],
)
def test_interlaced_video_is_shown_as_whole_pictures_each_in_its_place(tmp_path, name, codec, count):
    times = np.arange(count) / 25
    source = write_interlaced(tmp_path / name, times, codec)
    stored = read_frames(str(source), np.arange(count))
    assert combs(stored) > 5
    assert is_interlaced(index_video(str(source)))
    assert write_web_video(str(source), tmp_path / 'web.mp4', times) == 'encoded'
    shown = read_frames(str(tmp_path / 'web.mp4'), np.arange(count))
    assert len(shown) == index_video(str(tmp_path / 'web.mp4')).total_frames == count
    assert not is_interlaced(index_video(str(tmp_path / 'web.mp4')))
    if count > 2:  # the filter looks at the frames before and after
        assert combs(shown) < 0.2 * combs(stored)
    lit = np.where(shown[:, 16:48].mean((1, 3)) > 130, 1, 0)
    middles = [np.flatnonzero(row).mean() for row in lit]
    # The bar of frame i is where its first field has it; the rows of a single frame stay as they are.
    assert np.abs(np.subtract(middles, [8 * i + 7.5 for i in range(count)])).max() <= (1 if count > 2 else 4)


def test_progressive_video_is_not_called_interlaced(tmp_path):
    assert not is_interlaced(index_video(str(write_video(tmp_path / 'a.mp4', EVEN))))


def test_sound_stays_in_step_with_the_picture(tmp_path):
    source = write_video(tmp_path / 'a.avi', (np.arange(60) / 30).tolist(), codec='mpeg4', sound='mp3')
    write_web_video(str(source), tmp_path / 'a.mp4', index_video(str(source)).frame_times)
    with av.open(str(tmp_path / 'a.mp4')) as file:
        sound = file.streams.audio[0]
        assert float(sound.duration * sound.time_base) == pytest.approx(60 / 30, abs=0.1)
        wave = np.concatenate([frame.to_ndarray()[0] for frame in file.decode(sound)])
    assert np.sqrt(np.mean(wave[4410:44100] ** 2)) == pytest.approx(0.2 / np.sqrt(2), rel=0.1)


def test_a_folder_of_frames_of_odd_size_gets_an_even_one(tmp_path):
    from PIL import Image

    for number in range(3):
        path = tmp_path / 'frames' / f'{number}.png'
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(np.full((33, 51, 3), 80 * number, np.uint8)).save(path)
    assert write_web_video(str(tmp_path / 'frames'), tmp_path / 'f.mp4', np.arange(3) / 25) == 'encoded'
    frames = read_frames(str(tmp_path / 'f.mp4'), np.arange(3))
    assert frames.shape[1] % 2 == 0
    assert frames.shape[2] % 2 == 0
    assert np.abs(frames.mean((1, 2, 3)) - [0, 80, 160]).max() < 3


def test_a_large_picture_is_scaled_down_in_proportion(tmp_path):
    source = write_video(tmp_path / 'a.avi', [0, 1 / 30], codec='mpeg4', size=(120, 200))
    write_web_video(str(source), tmp_path / 'a.mp4', np.arange(2) / 30, max_side=100)
    index = index_video(str(tmp_path / 'a.mp4'))
    assert (index.height, index.width) == (60, 100)


def test_a_turned_video_stays_turned(tmp_path):
    """A copy keeps the turn in the header; what is encoded is turned itself. Both look alike to a reader."""
    turned = write_lopsided(tmp_path / 'turned.mp4', matrix=(0, 1, -1, 0))
    copied = tmp_path / 'copied.mp4'
    assert write_web_video(str(turned), copied, np.arange(6) / 10) == 'copied'
    upright = np.rot90(lopsided_picture(), -1)
    assert np.abs(read_frames(str(copied), [0])[0].astype(int) - upright).mean() < 12
    from vadlab.visualization.report import web_video

    index = index_video(str(turned))
    size = index.height, index.width
    frames = web_video._frames(index, size, 6)
    web_video._encode(index, tmp_path / 'encoded.mp4', frames, size, np.arange(6) / 10, True)
    assert not index_video(str(tmp_path / 'encoded.mp4')).orientation
    assert np.abs(read_frames(str(tmp_path / 'encoded.mp4'), [0])[0].astype(int) - upright).mean() < 12


def test_a_damaged_video_leaves_no_file(tmp_path):
    (tmp_path / 'bad.mp4').write_bytes(b'no video at all')
    with pytest.raises(DamagedVideoError, match=r'bad\.mp4'):
        write_web_video(str(tmp_path / 'bad.mp4'), tmp_path / 'web' / 'out.mp4', np.arange(3) / 25)
    assert not (tmp_path / 'web').exists() or not list((tmp_path / 'web').iterdir())


def test_of_two_video_streams_the_scored_one_is_shown(tmp_path):
    """A browser shows the first one. Oracle: the numbers in the pictures, and that there is one stream."""
    first, second = (write_video(tmp_path / name, EVEN, size=size) for name, size in
                     [('small.mp4', (48, 64)), ('large.mp4', (96, 128))])  # fmt: skip
    both = tmp_path / 'both.mp4'
    with av.open(str(both), 'w') as out, av.open(str(first)) as a, av.open(str(second)) as b:
        for source, kind in ((a, 'hearing_impaired'), (b, 'default')):
            out.add_stream_from_template(source.streams.video[0]).disposition = av.stream.Disposition[kind]
        for number, source in enumerate((a, b)):
            for packet in source.demux(source.streams.video[0]):
                if packet.size and (number or packet.pts < 0.5 / packet.time_base):  # the first stream is shorter
                    packet.stream = out.streams[number]
                    out.mux(packet)
    index = index_video(str(both))
    assert (index.height, index.width, index.total_frames) == (96, 128, len(EVEN))
    target = tmp_path / 'web.mp4'
    assert write_web_video(str(both), target, index.frame_times) == 'remuxed'
    with av.open(str(target)) as file:
        assert len(file.streams) == 1
    assert index_video(str(target)).width == 128
    check_frames(target, EVEN)


@pytest.mark.parametrize('pix_fmt', ['yuv420p', 'yuv444p'])
def test_a_full_disk_is_not_called_damaged_sound(tmp_path, pix_fmt, caplog):
    """The limit of a file's size makes writes fail as on a full disk, in FFmpeg, too."""
    source = write_video(tmp_path / 'a.mkv', EVEN, pix_fmt=pix_fmt, sound='aac')
    with files_of_at_most(1000), pytest.raises(OSError, match='File too large') as caught:
        write_web_video(str(source), tmp_path / 'out.mp4', index_video(str(source)).frame_times)
    assert not isinstance(caught.value, DamagedVideoError)
    assert caught.value.filename == str(tmp_path / 'out.mp4')
    assert 'without sound' not in caplog.text
    assert [path.name for path in tmp_path.iterdir()] == ['a.mkv']

"""Colours of files that name matrix, range and transfer; oracles: the painted colours, and the formulas of BT.2100."""

import av
import numpy as np
import pytest
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc, VideoReformatter

from vadlab.datasets.video import index_video, read_frames
from vadlab.datasets.video.dynamic_range import has_high_range
from vadlab.visualization.report.web_video import write_web_video

SIDE = 16
UNNAMED = 2
COLOURS = np.array([[200, 60, 30], [30, 90, 200], [40, 180, 60], [255, 255, 255], [128, 128, 128], [20, 20, 20]])
WHITE_NITS = 203  # ITU-R BT.2408


def write_patches(path, colours, matrix, full=False, trc=ColorTrc.BT709, primaries=ColorPrimaries.BT709):
    """A lossless video of patches in a row; ``colours`` are RGB, shape (N, 3), in 0..1."""
    row = np.repeat(np.asarray(colours, float), SIDE, axis=0)
    image = np.ascontiguousarray((np.broadcast_to(row, (SIDE, *row.shape)) * 65535).round().astype('<u2'))
    with av.open(str(path), 'w') as out:
        stream = out.add_stream('ffv1', rate=10)
        stream.height, stream.width, stream.pix_fmt = SIDE, len(row), 'yuv444p10le'
        codec = stream.codec_context
        codec.colorspace, codec.color_range = matrix, ColorRange.JPEG if full else ColorRange.MPEG
        codec.color_trc, codec.color_primaries = trc, primaries
        for _ in range(3):
            frame = VideoReformatter().reformat(
                av.VideoFrame.from_ndarray(image, format='rgb48le'),
                format='yuv444p10le',
                dst_colorspace=matrix,
                dst_color_range=codec.color_range,
            )
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return str(path)


def patches_in(path):
    (picture,) = read_frames(str(path), np.array([1]))
    return picture[SIDE // 2, SIDE // 2 :: SIDE].astype(int)


def high_range(trc):
    """``COLOURS`` as PQ (SMPTE ST 2084) or HLG (ARIB STD-B67) in BT.2020, where white has 203 cd/m2."""
    srgb = COLOURS / 255
    light = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    to_2020 = np.array([[0.6274, 0.3293, 0.0433], [0.0691, 0.9195, 0.0114], [0.0164, 0.0880, 0.8956]])
    light = light @ to_2020.T * WHITE_NITS
    if trc == ColorTrc.SMPTE2084:
        power = (light / 10_000) ** (2610 / 16384)
        return ((3424 / 4096 + 2413 / 128 * power) / (1 + 2392 / 128 * power)) ** (2523 / 32)
    luminance = light @ [0.2627, 0.6780, 0.0593]
    scene = light / 1000 * (luminance[:, None] / 1000) ** (1 / 1.2 - 1)  # a screen of 1000 cd/m2
    bright = 0.17883277 * np.log(np.maximum(12 * scene - 0.28466892, 0.1)) + 0.55991073
    return np.where(scene <= 1 / 12, np.sqrt(3 * scene), bright)


@pytest.mark.parametrize('full', [False, True], ids=['limited', 'full'])
@pytest.mark.parametrize('matrix', [Colorspace.ITU601, Colorspace.ITU709, Colorspace.BT2020], ids=lambda m: m.name)
def test_colours_are_those_of_the_matrix_and_range_that_the_file_names(tmp_path, matrix, full):
    path = write_patches(tmp_path / 'patches.mkv', COLOURS / 255, matrix, full)
    assert np.abs(patches_in(path) - COLOURS).max() <= 2
    target = tmp_path / 'web.mp4'  # the copy in a report names its colours, too, so players do not guess
    assert write_web_video(path, target, index_video(path).frame_times) == 'encoded'
    assert np.abs(patches_in(target) - COLOURS).max() <= 8  # x264's loss
    with av.open(str(target)) as file:
        codec = file.streams.video[0].codec_context
        assert codec.colorspace != UNNAMED
        assert codec.color_range == ColorRange.MPEG


@pytest.mark.slow
@pytest.mark.parametrize('trc', [ColorTrc.SMPTE2084, ColorTrc.ARIB_STD_B67], ids=['PQ', 'HLG'])
def test_high_dynamic_range_is_mapped_to_the_colours_of_a_screen(tmp_path, trc):
    path = write_patches(tmp_path / 'hdr.mkv', high_range(trc), Colorspace.BT2020, False, trc, ColorPrimaries.BT2020)
    with av.open(path) as file:
        frame = next(file.decode(video=0))
        assert has_high_range(frame)
        pale = frame.to_ndarray(format='rgb24')[SIDE // 2, SIDE // 2 :: SIDE].astype(int)
    found = patches_in(path)
    white, grey = COLOURS.tolist().index([255] * 3), COLOURS.tolist().index([128] * 3)
    assert np.abs(found[white] - 255).max() <= 3
    assert np.abs(found[grey] - 128).max() <= 3
    assert (pale[white] < 200).all()
    assert np.abs(found - COLOURS).mean() < np.abs(pale - COLOURS).mean() / 2  # its gamut is mapped, not cut
    target = tmp_path / 'web.mp4'
    write_web_video(path, target, index_video(path).frame_times)
    assert np.abs(patches_in(target) - found).max() <= 8

"""Tiny videos and a tiny extractor."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from vadlab.utils.config import load_config
from vadlab.utils.setup_env import register_all_modules

CONFIGS = Path(__file__).parents[3] / 'configs'
TINY = {
    'pretrained': None,
    'image_size': 32,
    'patch_size': 16,
    'width': 16,
    'layers': 2,
    'heads': 2,
    'embed_dim': 8,
    'resize': (40, 48),
}


@pytest.fixture(autouse=True)
def _modules():
    register_all_modules()


@pytest.fixture
def tiny_config():
    """A features config with a tiny tower; keyword arguments are its variables."""

    def load(**variables):
        return load_config(CONFIGS / 'features_clip_vit_b16.py', {**TINY, **variables})

    return load


def write_coloured_video(path, frames=40, seed=0, size=(48, 64), codec='libx264'):
    """Smooth colours that drift, each frame another."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(seed)
    phase, speed = random.uniform(0, 6, (2, 3)), random.uniform(0.05, 0.4, 3)
    y, x = np.mgrid[: size[0], : size[1]] / size[0]
    with av.open(str(path), 'w') as out:
        stream = out.add_stream(codec, rate=30)
        stream.height, stream.width = size
        stream.pix_fmt = 'yuv420p'
        stream.codec_context.gop_size = 12
        stream.codec_context.thread_count = 1
        for i in range(frames):
            waves = [
                np.sin(phase[0][c] + speed[c] * i + (2 + c) * x) + np.cos(phase[1][c] + (3 - c) * y) for c in range(3)
            ]
            picture = np.clip(np.stack(waves, -1) * 50 + 127, 0, 255).astype(np.uint8)
            frame = av.VideoFrame.from_ndarray(picture, format='rgb24')
            frame.pts, frame.time_base = i, Fraction(1, 30)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


@pytest.fixture(scope='session')
def write_coloured():
    return write_coloured_video


@pytest.fixture
def video_folder(tmp_path):
    """Three videos of 40, 16 and 50 frames in folders of their class."""
    root = tmp_path / 'Videos'
    write_coloured_video(root / 'Abuse' / 'Abuse001_x264.mp4', 40, 1)
    write_coloured_video(root / 'Arson' / 'Arson001_x264.mp4', 16, 2)
    write_coloured_video(root / 'Normal' / 'Normal_Videos_001.avi', 50, 3, codec='mpeg4')
    return root

"""A data set in UCF-Crime's format and an FG-CLIP, so small that training takes seconds."""

import json
from fractions import Fraction

import av
import numpy as np

CONFIG = """
_base_ = ['{root}/configs/fgclip_demo_zero_shot.py']
data_root = '{data}'
cache_dir = None
ann_file = 'train.json'
val_ann_file = 'test.json'
test_ann_file = 'test.json'
temporal_ann_file = None
val_temporal_ann_file = None
pretrained = None
num_frames = 4
min_region_frames = 2
image_size = 32
batch_size = 2
num_workers = 0
max_epochs = 1
tensorboard = False
model = dict(
    vision=dict(patch_size=16, width=16, layers=2, heads=2),
    text=dict(width=16, layers=1, heads=2, context_length=24, long_context_length=32),
    embed_dim=8,
    queue=dict(size=8),
)
"""


def write_video(path, frames=24, seed=0):
    """A bright square that wanders over noise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(seed)
    with av.open(str(path), 'w') as out:
        stream = out.add_stream('libx264', rate=30, options={'preset': 'ultrafast'})
        stream.width, stream.height, stream.pix_fmt = 64, 48, 'yuv420p'
        stream.codec_context.thread_count = 1
        for i in range(frames):
            picture = random.integers(0, 60, (48, 64, 3), np.uint8)
            picture[10:30, i : i + 20] = 220
            frame = av.VideoFrame.from_ndarray(picture, format='rgb24')
            frame.pts, frame.time_base = i, Fraction(1, 30)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


def record(name, caption, anomalous):
    region = {
        'caption': f'{caption}, seen near',
        'start_frame': 4,
        'end_frame': 20,
        'keyframes': [
            {'frame': 4, 'bbox': [0.1, 0.2, 0.4, 0.6], 'enabled': True},
            {'frame': 20, 'bbox': [0.3, 0.2, 0.7, 0.6], 'enabled': True},
        ],
    }
    return {'f_path': name, 'global_caption': caption, 'bbox_info': [region] if anomalous else []}


def write_data(root):
    """Four videos to train with and three to test on, each with an annotation file."""
    captions = ['a man fights', 'a car burns', '一名男子打砸车辆', 'an empty street']
    names = ['Fighting001.mp4', 'Arson001.mp4', 'Vandalism001.mp4', 'Normal_Videos001.mp4']
    train = [record(n, c, 'Normal' not in n) for n, c in zip(names, captions, strict=True)]
    test = [
        record('Fighting002.mp4', 'two men fight', True),
        record('Arson002.mp4', 'a fire starts', True),
        record('Normal_Videos002.mp4', 'a quiet street', False),
    ]
    for i, item in enumerate([*train, *test]):
        write_video(root / 'Videos' / item['f_path'], seed=i)
    (root / 'train.json').write_text(json.dumps(train), encoding='utf-8')
    (root / 'test.json').write_text(json.dumps(test), encoding='utf-8')
    return root

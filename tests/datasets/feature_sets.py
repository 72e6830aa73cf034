"""Small sets of snippet features under the public names."""

import json

import numpy as np

TEMPORAL = """Arson001_x264.mp4  Arson  20  70  -1  -1
Fighting001_x264.mp4  Fighting  0  16  40  48
Normal_Videos_001_x264.mp4  Normal  -1  -1  -1  -1
"""
TRAIN = {'Arson/Arson002_x264': 5, 'Fighting/Fighting002_x264': 9, 'Normal/Normal_Videos002_x264': 7}
TEST = {'Arson/Arson001_x264': 6, 'Fighting/Fighting001_x264': 3, 'Normal/Normal_Videos_001_x264': 4}
#: In the test set, as the videos have them.
FRAMES = {'Arson001_x264': 100, 'Fighting001_x264': 48, 'Normal_Videos_001_x264': 65}


def write_npy(path, num_snippets, dim=8, seed=0, crops=None, dtype=np.float16):
    """Random features; which numbers depends on the file's name and ``seed`` alone."""
    path.parent.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng([seed, *path.name.encode()])
    shape = (num_snippets, dim) if crops is None else (num_snippets, crops, dim)
    np.save(path, random.normal(size=shape).astype(dtype))
    return path


def write_ucf(root, crops=2, dim=8):
    """UCF-Crime in VadCLIP's layout: csv lists with their authors' absolute paths, a file a crop."""
    for split, videos in (('train', TRAIN), ('test', TEST)):
        rows = ['path,label']
        for name, num_snippets in videos.items():
            for crop in range(crops):
                write_npy(root / 'features' / f'{name}__{crop}.npy', num_snippets, dim)
                rows.append(f'/home/authors/UCFClipFeatures/{name}__{crop}.npy,{name.split("/")[0]}')
        (root / f'{split}.csv').write_text('\n'.join(rows) + '\n', encoding='utf-8')
    (root / 'temporal.txt').write_text(TEMPORAL, encoding='utf-8')
    (root / 'frames.json').write_text(json.dumps(FRAMES), encoding='utf-8')
    return root

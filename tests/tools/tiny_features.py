"""Snippet features of a dozen videos in the demo's layout, and methods so small that training takes seconds."""

import json

import numpy as np

SNIPPET = 16

CONFIGS = {
    'mil': """
_base_ = ['{root}/configs/mil_demo.py']
data_root = '{data}'
feature_dim = 8
batch_size = 4
max_epochs = 2
val_interval = 2
checkpoint_interval = 1
tensorboard = False
model = dict(hidden_dims=(8, 4))
""",
    'rtfm': """
_base_ = ['{root}/configs/rtfm_demo.py']
data_root = '{data}'
feature_dim = 8
batch_size = 4
max_epochs = 1
val_interval = 1
tensorboard = False
model = dict(hidden_dims=(8, 4))
""",
}


def write_data(folder, dim=8, seed=0):
    """Features of videos of 6 to 11 snippets; in anomalous ones, snippets 2 to 4 differ. ``blank`` holds zeros."""
    random = np.random.default_rng(seed)
    lines, frames = {'train': [], 'test': []}, {}
    annotations = []
    for split, count in (('train', 4), ('test', 2)):
        for name, label in [(f'Normal_Videos_{split}{i}', 'Normal') for i in range(count)] + [
            (f'Fighting{split}{i}', 'Fighting') for i in range(count)
        ]:
            part = 'Testing' if split == 'test' else 'Training'
            place = f'{part}_Normal_Videos_Anomaly' if label == 'Normal' else label
            feats = random.normal(size=(int(random.integers(6, 12)), dim)).astype(np.float16)
            if label != 'Normal':
                feats[2:5, 0] += 6
            for kind, values in (('features', feats), ('blank', np.zeros_like(feats))):
                path = folder / kind / place / f'{name}_x264__0.npy'
                path.parent.mkdir(parents=True, exist_ok=True)
                np.save(path, values)
            lines[split].append(f'{place}/{name}_x264__0.npy')
            frames[f'{name}_x264'] = len(feats) * SNIPPET
            if split == 'test':
                bounds = '32  80' if label != 'Normal' else '-1  -1'
                annotations.append(f'{name}_x264.mp4  {label}  {bounds}  -1  -1')
    for split, names in lines.items():
        (folder / f'{split}.txt').write_text('\n'.join(names) + '\n')
    (folder / 'frames.json').write_text(json.dumps(frames))
    (folder / 'Temporal_Anomaly_Annotation.txt').write_text('\n'.join(annotations) + '\n')
    return folder


def write_config(method, folder, root, data):
    """The file of a tiny experiment with a method of :data:`CONFIGS`."""
    path = folder / f'tiny_{method}.py'
    path.write_text(CONFIGS[method].format(root=root, data=data))
    return path
